-- List due tasks: the first of every lane (capability, tenant, app, priority), then the second of each, and so on.
-- It hops over the index from one lane that has work to the next and takes the first few of each, so its cost does
-- not grow with what waits behind them.
-- in: capabilities (JSON array), limit (of the tasks of a lane, and of those beyond the number of lanes)    out: id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since
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
lines (capability, tenant, app) AS (
    SELECT capability, tenant, (
        SELECT app FROM tasks
        WHERE state = 'queued' AND tasks.capability = holders.capability AND tasks.tenant = holders.tenant
        ORDER BY app LIMIT 1
    ) FROM holders WHERE tenant IS NOT NULL
    UNION ALL
    SELECT capability, tenant, (
        SELECT app FROM tasks
        WHERE state = 'queued' AND tasks.capability = lines.capability AND tasks.tenant = lines.tenant
            AND tasks.app > lines.app
        ORDER BY app LIMIT 1
    ) FROM lines WHERE app IS NOT NULL
),
lanes (capability, tenant, app, priority) AS (
    SELECT capability, tenant, app, (
        SELECT priority FROM tasks
        WHERE state = 'queued' AND tasks.capability = lines.capability AND tasks.tenant = lines.tenant
            AND tasks.app = lines.app
        ORDER BY priority DESC LIMIT 1
    ) FROM lines WHERE app IS NOT NULL
    UNION ALL
    SELECT capability, tenant, app, (
        SELECT priority FROM tasks
        WHERE state = 'queued' AND tasks.capability = lanes.capability AND tasks.tenant = lanes.tenant
            AND tasks.app = lanes.app AND tasks.priority < lanes.priority
        ORDER BY priority DESC LIMIT 1
    ) FROM lanes WHERE priority IS NOT NULL
)
SELECT
    t.id, t.tenant, t.run, t.step, t.call, t.capability, t.pool, t.priority, t.state, t.epoch, t.session,
    t.due_at, t.timeout_at, t.app, t.since
FROM lanes
CROSS JOIN LATERAL (
    SELECT tasks.*, row_number() OVER (ORDER BY due_at, id) AS turn
    FROM tasks
    WHERE state = 'queued' AND tasks.capability = lanes.capability AND tasks.tenant = lanes.tenant
        AND tasks.app = lanes.app AND tasks.priority = lanes.priority AND due_at <= (SELECT now_us())
    ORDER BY due_at, id
    LIMIT :limit
) AS t
ORDER BY t.turn, t.due_at, t.id
LIMIT (SELECT count(*) FROM lanes WHERE priority IS NOT NULL) + :limit;
