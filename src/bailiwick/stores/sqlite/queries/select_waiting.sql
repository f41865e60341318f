-- List the lanes (tenant, app, priority, once for each capability) that have due work, each with the longest wait
-- among the first 32 in its line; it hops over the index from lane to lane.
-- in: nothing    out: tenant, app, priority, since
-- locks: nothing
WITH RECURSIVE
asked (capability) AS (
    SELECT (SELECT capability FROM tasks WHERE state = 'queued' ORDER BY capability LIMIT 1)
    UNION ALL
    SELECT (
        SELECT capability FROM tasks WHERE state = 'queued' AND tasks.capability > asked.capability
        ORDER BY capability LIMIT 1
    ) FROM asked WHERE capability IS NOT NULL
),
holders (capability, tenant) AS (
    SELECT capability, (
        SELECT tenant FROM tasks WHERE state = 'queued' AND tasks.capability = asked.capability
        ORDER BY tenant LIMIT 1
    ) FROM asked WHERE capability IS NOT NULL
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
),
oldest (tenant, app, priority, since) AS (
    SELECT tenant, app, priority, (
        SELECT min(since) FROM (
            SELECT since FROM tasks
            WHERE state = 'queued' AND tasks.capability = lanes.capability AND tasks.tenant = lanes.tenant
                AND tasks.app = lanes.app AND tasks.priority = lanes.priority AND due_at <= (SELECT now_us())
            ORDER BY due_at, id LIMIT 32
        ) AS first
    ) FROM lanes WHERE priority IS NOT NULL
)
SELECT tenant, app, priority, since FROM oldest WHERE since IS NOT NULL;
