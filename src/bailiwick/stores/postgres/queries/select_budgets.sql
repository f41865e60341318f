-- List a tenant's shared budgets.
-- in: tenant    out: id, tenant, scope, name, period, limit_micro_usd, set_by, set_at, day, taken_micro_usd
-- locks: nothing
SELECT id, tenant, scope, name, period, limit_micro_usd, set_by, set_at, day, taken_micro_usd
FROM budgets
WHERE tenant = :tenant
ORDER BY id;
