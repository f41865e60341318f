-- Budgets that runs share. `id` is `tenant/day`, `app:NAME/total` and so on; `day` is the UTC day (days since
-- 1970, 0 for a total) that `taken_micro_usd` counts; a new day begins at zero when something is taken.
CREATE TABLE budgets (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    period text COLLATE "C" NOT NULL,
    limit_micro_usd bigint NOT NULL,
    set_by text COLLATE "C" NOT NULL,
    set_at bigint NOT NULL,
    day bigint NOT NULL,
    taken_micro_usd bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
