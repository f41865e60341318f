-- List a tenant's runs, newest first; an empty app matches all.
-- in: tenant, before, app, limit    out: id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline, allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for
-- locks: nothing
SELECT
    id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline,
    allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for
FROM runs
WHERE tenant = :tenant AND id < :before AND (:app = '' OR app = :app)
ORDER BY id DESC
LIMIT :limit;
