-- Ask humans.
-- in: id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at, state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able    out: nothing; a taken id violates the primary key
-- locks: the new row
INSERT INTO approvals (
    id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at,
    state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able
)
VALUES (
    :id, :tenant, :run, :step, :call, :capability, :digest, :seq, :groups, :holds, :policy_version, :requested_by, :requested_at, :expires_at,
    :state, :decided_by, :decided_at, :reason, :spent_micro_usd, :evidence, :requester, :decider, :decider_key, :able
);
