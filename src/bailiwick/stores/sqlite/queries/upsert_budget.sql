-- Set a shared budget's limit; what runs have taken of it stays.
-- in: id, tenant, scope, name, period, limit_micro_usd, set_by, set_at, day, taken_micro_usd    out: nothing
-- locks: the budget's row
INSERT INTO budgets (id, tenant, scope, name, period, limit_micro_usd, set_by, set_at, day, taken_micro_usd)
VALUES (
    :id, :tenant, :scope, :name, :period, :limit_micro_usd, :set_by, :set_at, :day, :taken_micro_usd
)
ON CONFLICT (tenant, id) DO UPDATE SET
    limit_micro_usd = excluded.limit_micro_usd,
    set_by = excluded.set_by,
    set_at = excluded.set_at;
