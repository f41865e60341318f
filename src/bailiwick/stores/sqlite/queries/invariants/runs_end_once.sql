-- A run has at most one closing event, and it is its last; its head says so.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT r.tenant, r.id, 'it is ' || r.status || ' and was closed ' || count(e.seq) || ' times, at ' || coalesce(min(e.seq), 0)
FROM runs AS r
LEFT JOIN streams AS s ON s.tenant = r.tenant AND s.name = r.id
LEFT JOIN events AS e ON e.stream = s.id AND CAST(e.header AS TEXT) ->> '$.kind' = 'run.closed'
GROUP BY r.tenant, r.id
HAVING count(e.seq) <> (r.status IN ('completed', 'failed', 'canceled', 'rolled-back'))
    OR (count(e.seq) = 1 AND min(e.seq) <> r.version);
