-- A run has at most one closing event in each direction, and its last event is one if its head says that it has ended.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT r.tenant, r.id, 'it is ' || r.status || ' and was closed ' || count(*) FILTER (WHERE e.kind = 'run.closed')
    || ' times, at ' || coalesce(min(e.seq) FILTER (WHERE e.kind = 'run.closed'), 0)
FROM runs AS r
LEFT JOIN streams AS s ON s.tenant = r.tenant AND s.name = r.id
LEFT JOIN (
    SELECT stream, seq, convert_from(header, 'UTF8')::jsonb ->> 'kind' AS kind FROM events
) AS e ON e.stream = s.id AND e.kind IN ('run.closed', 'run.rollback_requested')
GROUP BY r.tenant, r.id
HAVING (coalesce(max(e.seq) FILTER (WHERE e.kind = 'run.closed'), 0) = r.version)
        <> (r.status IN ('completed', 'failed', 'canceled', 'rolled-back'))
    OR count(*) FILTER (WHERE e.kind = 'run.closed')
        > (r.status IN ('completed', 'failed', 'canceled', 'rolled-back'))::int
        + count(*) FILTER (WHERE e.kind = 'run.rollback_requested')
    OR count(*) FILTER (WHERE e.kind = 'run.rollback_requested') > 1;
