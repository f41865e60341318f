-- List tasks whose timeout has passed.
-- in: limit    out: id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since
-- locks: nothing
SELECT
    id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since
FROM tasks
WHERE timeout_at > 0 AND timeout_at <= (SELECT now_us())
ORDER BY timeout_at, tenant, id
LIMIT :limit;
