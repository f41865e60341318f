-- List the heads of runs of all tenants, by tenant and id.
-- in: tenant, id (after which), limit    out: id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline, allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for
-- locks: nothing
SELECT
    id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline,
    allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for
FROM runs
WHERE (tenant, id) > (:tenant, :id)
ORDER BY tenant, id
LIMIT :limit;
