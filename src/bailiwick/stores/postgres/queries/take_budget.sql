-- Take an allotment from a shared budget, if it holds that much; zero rows changed means that it does not.
-- A later day begins at zero; an earlier one (a clock that is behind) takes from the day that has begun.
-- in: day, amount, tenant, id (an array of each, of one row)    out: nothing
-- locks: the budget's row
UPDATE budgets AS t SET
    taken_micro_usd = CASE WHEN t.day < given.day THEN 0 ELSE t.taken_micro_usd END + given.amount,
    day = greatest(t.day, given.day)
FROM unnest(:day::bigint[], :amount::bigint[], :tenant::text[], :id::text[]) AS given (day, amount, tenant, id)
WHERE t.tenant = given.tenant AND t.id = given.id
    AND CASE WHEN t.day < given.day THEN 0 ELSE t.taken_micro_usd END + given.amount <= t.limit_micro_usd;
