-- Give back what a run did not need; below zero: book what it cost beyond its allotment. A day that is over
-- keeps what it gave.
-- in: amount, tenant, id, day (an array of each, of one row)    out: nothing
-- locks: the budget's row
UPDATE budgets AS t SET taken_micro_usd = t.taken_micro_usd - given.amount
FROM unnest(:amount::bigint[], :tenant::text[], :id::text[], :day::bigint[]) AS given (amount, tenant, id, day)
WHERE t.tenant = given.tenant AND t.id = given.id AND t.day <= given.day;
