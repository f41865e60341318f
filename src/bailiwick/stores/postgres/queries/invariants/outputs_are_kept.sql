-- The output of a step of an unfinished run lies with the event that names it.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT r.tenant, r.id || '.' || e.seq, 'the output of ' || (m.move ->> 'step') || ' is not there'
FROM runs AS r
JOIN streams AS s ON s.tenant = r.tenant AND s.name = r.id
JOIN events AS e ON e.stream = s.id
CROSS JOIN LATERAL jsonb_path_query(convert_from(e.header, 'UTF8')::jsonb, '$.moves[*]') AS m (move)
LEFT JOIN payloads AS p ON p.stream = e.stream AND p.seq = e.seq
WHERE r.status NOT IN ('completed', 'failed', 'canceled', 'rolled-back') AND m.move -> 'output' = 'true' AND p.seq IS NULL;
