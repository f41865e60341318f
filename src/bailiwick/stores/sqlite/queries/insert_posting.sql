-- Add a line to the cost ledger.
-- in: id, tenant, app, run, step, role, call, capability, at, cost_micro_usd, input_tokens, output_tokens, usage_source, ended, duration_ms, first_token_ms, tries, interruptions, feature, team, price, claimed_input_tokens, claimed_output_tokens    out: nothing; a taken id violates the primary key
-- locks: the new row
INSERT INTO postings (
    id, tenant, app, run, step, role, call, capability, at, cost_micro_usd, input_tokens, output_tokens, usage_source,
    ended, duration_ms, first_token_ms, tries, interruptions, feature, team, price, claimed_input_tokens,
    claimed_output_tokens
)
VALUES (
    :id, :tenant, :app, :run, :step, :role, :call, :capability, :at, :cost_micro_usd, :input_tokens, :output_tokens, :usage_source,
    :ended, :duration_ms, :first_token_ms, :tries, :interruptions, :feature, :team,
    :price, :claimed_input_tokens, :claimed_output_tokens
);
