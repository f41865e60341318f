-- List due tasks: the first of every lane (capability, tenant, app, priority), then the second of each, and so on.
-- It hops over the index from one lane that has work to the next, then draws from the lanes' heads as from a
-- priority queue, so its cost does not grow with what waits behind them.
-- in: capabilities (JSON array), limit (of the tasks of a lane, and of those beyond the number of lanes)    out: id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since
-- locks: nothing
WITH RECURSIVE
asked (capability) AS (SELECT DISTINCT value FROM json_each(:capabilities)),
holders (capability, tenant) AS (
    SELECT capability, (
        SELECT tenant FROM tasks WHERE state = 'queued' AND capability = asked.capability
        ORDER BY tenant LIMIT 1
    ) FROM asked
    UNION ALL
    SELECT capability, (
        SELECT tenant FROM tasks
        WHERE state = 'queued' AND capability = holders.capability AND tenant > holders.tenant
        ORDER BY tenant LIMIT 1
    ) FROM holders WHERE tenant IS NOT NULL
),
lines (capability, tenant, app) AS (
    SELECT capability, tenant, (
        SELECT app FROM tasks
        WHERE state = 'queued' AND capability = holders.capability AND tenant = holders.tenant
        ORDER BY app LIMIT 1
    ) FROM holders WHERE tenant IS NOT NULL
    UNION ALL
    SELECT capability, tenant, (
        SELECT app FROM tasks
        WHERE state = 'queued' AND capability = lines.capability AND tenant = lines.tenant
            AND app > lines.app
        ORDER BY app LIMIT 1
    ) FROM lines WHERE app IS NOT NULL
),
lanes (capability, tenant, app, priority) AS (
    SELECT capability, tenant, app, (
        SELECT priority FROM tasks
        WHERE state = 'queued' AND capability = lines.capability AND tenant = lines.tenant
            AND app = lines.app
        ORDER BY priority DESC LIMIT 1
    ) FROM lines WHERE app IS NOT NULL
    UNION ALL
    SELECT capability, tenant, app, (
        SELECT priority FROM tasks
        WHERE state = 'queued' AND capability = lanes.capability AND tenant = lanes.tenant
            AND app = lanes.app AND priority < lanes.priority
        ORDER BY priority DESC LIMIT 1
    ) FROM lanes WHERE priority IS NOT NULL
),
drawn (capability, tenant, app, priority, turn, due_at, id) AS (
    SELECT lanes.capability, lanes.tenant, lanes.app, lanes.priority, 1, t.due_at, t.id
    FROM lanes
    JOIN tasks AS t ON t.tenant = lanes.tenant AND t.id = (
        SELECT id FROM tasks
        WHERE state = 'queued' AND capability = lanes.capability AND tenant = lanes.tenant
            AND app = lanes.app AND priority = lanes.priority AND due_at <= (SELECT now_us())
        ORDER BY due_at, id LIMIT 1
    )
    UNION ALL
    SELECT drawn.capability, drawn.tenant, drawn.app, drawn.priority, drawn.turn + 1, t.due_at, t.id
    FROM drawn
    JOIN tasks AS t ON t.tenant = drawn.tenant AND t.id = (
        SELECT id FROM tasks
        WHERE state = 'queued' AND capability = drawn.capability AND tenant = drawn.tenant
            AND app = drawn.app AND priority = drawn.priority AND (due_at, id) > (drawn.due_at, drawn.id)
            AND due_at <= (SELECT now_us())
        ORDER BY due_at, id LIMIT 1
    )
    WHERE drawn.turn < :limit
    ORDER BY 5, 6, 7
    LIMIT (SELECT count(*) FROM lanes WHERE priority IS NOT NULL) + :limit
)
SELECT
    t.id, t.tenant, t.run, t.step, t.call, t.capability, t.pool, t.priority, t.state, t.epoch, t.session,
    t.due_at, t.timeout_at, t.app, t.since
FROM drawn
JOIN tasks AS t ON t.tenant = drawn.tenant AND t.id = drawn.id
ORDER BY drawn.turn, drawn.due_at, drawn.id;
