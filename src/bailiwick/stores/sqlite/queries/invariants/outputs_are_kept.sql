-- The output of a step of an unfinished run lies with the event that names it.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT r.tenant, r.id || '.' || e.seq, 'the output of ' || (m.value ->> '$.step') || ' is not there'
FROM runs AS r
JOIN streams AS s ON s.tenant = r.tenant AND s.name = r.id
JOIN events AS e ON e.stream = s.id
JOIN json_each(CAST(e.header AS TEXT), '$.moves') AS m
LEFT JOIN payloads AS p ON p.pos = e.pos
WHERE r.status NOT IN ('completed', 'failed', 'canceled', 'rolled-back') AND m.value ->> '$.output' AND p.pos IS NULL;
