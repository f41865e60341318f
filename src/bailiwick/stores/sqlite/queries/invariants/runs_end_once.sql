-- A run has at most one closing event in each direction, and its last event is one if its head says that it has ended.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT r.tenant, r.id, 'it is ' || r.status || ' and was closed ' || count(CASE WHEN e.kind = 'run.closed' THEN 1 END)
    || ' times, at ' || coalesce(min(CASE WHEN e.kind = 'run.closed' THEN e.seq END), 0)
FROM runs AS r
LEFT JOIN streams AS s ON s.tenant = r.tenant AND s.name = r.id
LEFT JOIN (
    SELECT stream, seq, CAST(header AS TEXT) ->> '$.kind' AS kind FROM events
) AS e ON e.stream = s.id AND e.kind IN ('run.closed', 'run.rollback_requested')
GROUP BY r.tenant, r.id
HAVING (coalesce(max(CASE WHEN e.kind = 'run.closed' THEN e.seq END), 0) = r.version)
        <> (r.status IN ('completed', 'failed', 'canceled', 'rolled-back'))
    OR count(CASE WHEN e.kind = 'run.closed' THEN 1 END)
        > (r.status IN ('completed', 'failed', 'canceled', 'rolled-back'))
        + count(CASE WHEN e.kind = 'run.rollback_requested' THEN 1 END)
    OR count(CASE WHEN e.kind = 'run.rollback_requested' THEN 1 END) > 1;
