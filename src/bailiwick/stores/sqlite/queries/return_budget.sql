-- Give back what a run did not need; below zero: book what it cost beyond its allotment. A day that is over
-- keeps what it gave.
-- in: amount, tenant, id, day    out: nothing
-- locks: the budget's row
UPDATE budgets SET taken_micro_usd = taken_micro_usd - :amount
WHERE tenant = :tenant AND id = :id AND day <= :day;
