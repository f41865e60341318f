-- List due tasks: the highest priority first, tenants in turn, then by due time and id.
-- It hops over the index from one lane (capability, tenant, priority) that has work to the next and takes the
-- first few of each, so its cost does not grow with what waits behind them.
-- in: capabilities (JSON array), limit    out: id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at
-- locks: nothing
WITH RECURSIVE
asked (capability) AS (SELECT DISTINCT value COLLATE "C" FROM json_array_elements_text(:capabilities::json)),
holders (capability, tenant) AS (
    SELECT capability, (
        SELECT tenant FROM tasks WHERE state = 'queued' AND tasks.capability = asked.capability
        ORDER BY tenant LIMIT 1
    ) FROM asked
    UNION ALL
    SELECT capability, (
        SELECT tenant FROM tasks
        WHERE state = 'queued' AND tasks.capability = holders.capability AND tasks.tenant > holders.tenant
        ORDER BY tenant LIMIT 1
    ) FROM holders WHERE tenant IS NOT NULL
),
lanes (capability, tenant, priority) AS (
    SELECT capability, tenant, (
        SELECT priority FROM tasks
        WHERE state = 'queued' AND tasks.capability = holders.capability AND tasks.tenant = holders.tenant
        ORDER BY priority DESC LIMIT 1
    ) FROM holders WHERE tenant IS NOT NULL
    UNION ALL
    SELECT capability, tenant, (
        SELECT priority FROM tasks
        WHERE state = 'queued' AND tasks.capability = lanes.capability AND tasks.tenant = lanes.tenant
            AND tasks.priority < lanes.priority
        ORDER BY priority DESC LIMIT 1
    ) FROM lanes WHERE priority IS NOT NULL
)
SELECT
    t.id, t.tenant, t.run, t.step, t.call, t.capability, t.pool, t.priority, t.state, t.epoch, t.session,
    t.due_at, t.timeout_at
FROM lanes
CROSS JOIN LATERAL (
    SELECT tasks.*, row_number() OVER (ORDER BY due_at, id) AS turn
    FROM tasks
    WHERE state = 'queued' AND tasks.capability = lanes.capability AND tasks.tenant = lanes.tenant
        AND tasks.priority = lanes.priority AND due_at <= (SELECT now_us())
    ORDER BY due_at, id
    LIMIT :limit
) AS t
ORDER BY t.priority DESC, t.turn, t.due_at, t.id
LIMIT :limit;
