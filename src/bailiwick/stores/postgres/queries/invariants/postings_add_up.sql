-- The lines of a run's cost ledger add up to what it spent.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT r.tenant, r.id, r.spent_micro_usd || ' spent, ' || coalesce(sum(p.cost_micro_usd), 0) || ' posted'
FROM runs AS r
LEFT JOIN postings AS p ON p.tenant = r.tenant AND p.run = r.id
GROUP BY r.tenant, r.id
HAVING coalesce(sum(p.cost_micro_usd), 0) <> r.spent_micro_usd OR min(coalesce(p.cost_micro_usd, 0)) < 0;
