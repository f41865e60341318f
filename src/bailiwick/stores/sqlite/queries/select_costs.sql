-- Sum up the cost ledger of a run, by role.
-- in: tenant, run    out: role, calls, cost_micro_usd, input_tokens, output_tokens
-- locks: nothing
SELECT role, count(*), sum(cost_micro_usd), sum(input_tokens), sum(output_tokens)
FROM postings
WHERE tenant = :tenant AND run = :run
GROUP BY role
ORDER BY role;
