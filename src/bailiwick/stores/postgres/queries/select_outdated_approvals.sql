-- List the requests of every tenant that wait under another policy version, by id, ids above `after`.
-- in: version, after, limit    out: id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at, state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able
-- locks: nothing
SELECT
    id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at,
    state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able
FROM approvals
WHERE state = 'pending' AND policy_version <> :version AND id > :after
ORDER BY id
LIMIT :limit;
