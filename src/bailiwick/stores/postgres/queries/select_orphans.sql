-- List leased tasks whose session has ended or expired.
-- in: limit    out: id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since
-- locks: nothing
SELECT
    id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since
FROM tasks
WHERE state = 'leased' AND session NOT IN (SELECT id FROM sessions WHERE expires_at > now_us())
ORDER BY session, tenant, id
LIMIT :limit;
