-- List runs that are past their deadline and not at an end.
-- in: limit    out: id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline, allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for
-- locks: nothing
SELECT
    id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline,
    allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for
FROM runs
WHERE deadline > 0 AND deadline <= (SELECT now_us())
    AND status NOT IN ('completed', 'failed', 'canceled', 'rolled-back')
ORDER BY deadline, tenant, id
LIMIT :limit;
