-- Add a line to the cost ledger.
-- in: id, tenant, app, run, step, role, call, capability, at, cost_micro_usd, input_tokens, output_tokens, usage_source, ended, duration_ms, first_token_ms, tries, interruptions, feature, team, price, claimed_input_tokens, claimed_output_tokens (an array of each)    out: nothing; a taken id violates the primary key
-- locks: the new rows
INSERT INTO postings (
    id, tenant, app, run, step, role, call, capability, at, cost_micro_usd, input_tokens, output_tokens, usage_source,
    ended, duration_ms, first_token_ms, tries, interruptions, feature, team, price, claimed_input_tokens,
    claimed_output_tokens
)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :app::text[], :run::text[], :step::text[], :role::text[], :call::text[],
    :capability::text[], :at::bigint[], :cost_micro_usd::bigint[], :input_tokens::bigint[],
    :output_tokens::bigint[], :usage_source::text[], :ended::text[], :duration_ms::bigint[],
    :first_token_ms::bigint[], :tries::bigint[], :interruptions::bigint[], :feature::text[], :team::text[],
    :price::text[], :claimed_input_tokens::bigint[], :claimed_output_tokens::bigint[]
);
