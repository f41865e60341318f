-- Take an allotment from a shared budget, if it holds that much; zero rows changed means that it does not.
-- A later day begins at zero; an earlier one (a clock that is behind) takes from the day that has begun.
-- in: day, amount, tenant, id    out: nothing
-- locks: the budget's row
UPDATE budgets SET
    taken_micro_usd = CASE WHEN day < :day THEN 0 ELSE taken_micro_usd END + :amount,
    day = CASE WHEN day < :day THEN :day ELSE day END
WHERE tenant = :tenant AND id = :id
    AND CASE WHEN day < :day THEN 0 ELSE taken_micro_usd END + :amount <= limit_micro_usd;
