-- Ask humans.
-- in: id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at, state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able (an array of each)    out: nothing; a taken id violates the primary key
-- locks: the new rows
INSERT INTO approvals (
    id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at,
    state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able
)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :run::text[], :step::text[], :call::text[], :capability::text[],
    :digest::text[], :seq::bigint[], :groups::text[], :holds::text[], :policy_version::text[],
    :requested_by::text[], :requested_at::bigint[], :expires_at::bigint[], :state::text[],
    :decided_by::text[], :decided_at::bigint[], :reason::text[], :spent_micro_usd::bigint[],
    :evidence::text[], :requester::text[], :decider::text[], :decider_key::text[], :able::text[]
);
