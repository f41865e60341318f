-- List the approvals of every tenant, oldest first; an empty run matches all.
-- in: run, limit    out: id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at, state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able
-- locks: nothing
SELECT
    id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at,
    state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able
FROM approvals
WHERE :run = '' OR run = :run
ORDER BY requested_at, id
LIMIT :limit;
