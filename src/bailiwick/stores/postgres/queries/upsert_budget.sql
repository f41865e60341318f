-- Set a shared budget's limit; what runs have taken of it stays.
-- in: id, tenant, scope, name, period, limit_micro_usd, set_by, set_at, day, taken_micro_usd (an array of each)    out: nothing
-- locks: the budgets' rows
INSERT INTO budgets (id, tenant, scope, name, period, limit_micro_usd, set_by, set_at, day, taken_micro_usd)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :scope::text[], :name::text[], :period::text[], :limit_micro_usd::bigint[],
    :set_by::text[], :set_at::bigint[], :day::bigint[], :taken_micro_usd::bigint[]
)
ON CONFLICT (tenant, id) DO UPDATE SET
    limit_micro_usd = excluded.limit_micro_usd,
    set_by = excluded.set_by,
    set_at = excluded.set_at;
