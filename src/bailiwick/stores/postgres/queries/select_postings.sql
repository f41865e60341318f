-- List the cost ledger of a run, oldest first, those after one.
-- in: tenant, run, after_at, after, limit    out: id, tenant, app, run, step, role, call, capability, at, cost_micro_usd, input_tokens, output_tokens, usage_source, ended, duration_ms, first_token_ms, tries, interruptions, feature, team, price, claimed_input_tokens, claimed_output_tokens
-- locks: nothing
SELECT
    id, tenant, app, run, step, role, call, capability, at, cost_micro_usd, input_tokens, output_tokens, usage_source,
    ended, duration_ms, first_token_ms, tries, interruptions, feature, team, price, claimed_input_tokens,
    claimed_output_tokens
FROM postings
WHERE tenant = :tenant AND run = :run AND (at, id) > (:after_at, :after)
ORDER BY at, id
LIMIT :limit;
