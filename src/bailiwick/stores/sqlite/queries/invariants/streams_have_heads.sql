-- A stream that began with a run has that run's head.
-- over: streams    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT s.tenant, s.name, 'it was created for ' || (CAST(e.header AS TEXT) ->> '$.run') || ' of ' || (CAST(e.header AS TEXT) ->> '$.tenant')
FROM streams AS s
JOIN events AS e ON e.stream = s.id AND e.seq = 1
LEFT JOIN runs AS r ON r.tenant = s.tenant AND r.id = s.name
WHERE CAST(e.header AS TEXT) ->> '$.kind' = 'run.created'
    AND (r.id IS NULL OR CAST(e.header AS TEXT) ->> '$.run' IS NOT s.name OR CAST(e.header AS TEXT) ->> '$.tenant' IS NOT s.tenant);
