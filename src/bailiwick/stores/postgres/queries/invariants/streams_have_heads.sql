-- A stream that began with a run has that run's head.
-- over: streams    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT tenant, name, concat('it was created for ', header ->> 'run', ' of ', header ->> 'tenant')
FROM (
    SELECT s.tenant, s.name, r.id AS head, convert_from(e.header, 'UTF8')::jsonb AS header
    FROM streams AS s
    JOIN events AS e ON e.stream = s.id AND e.seq = 1
    LEFT JOIN runs AS r ON r.tenant = s.tenant AND r.id = s.name
) AS begun
WHERE header ->> 'kind' = 'run.created'
    AND (head IS NULL OR header ->> 'run' IS DISTINCT FROM name OR header ->> 'tenant' IS DISTINCT FROM tenant);
