-- Budgets that runs share. `id` is `tenant/day`, `app:NAME/total` and so on; `day` is the UTC day (days since
-- 1970, 0 for a total) that `taken_micro_usd` counts; a new day begins at zero when something is taken.
CREATE TABLE budgets (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    period TEXT NOT NULL,
    limit_micro_usd INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    day INTEGER NOT NULL,
    taken_micro_usd INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
