-- List a tenant's approvals, oldest first, those after one; an empty state matches all.
-- in: tenant, state, after_at, after, limit    out: id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at, state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able
-- locks: nothing
SELECT
    id, tenant, run, step, call, capability, digest, seq, groups, holds, policy_version, requested_by, requested_at, expires_at,
    state, decided_by, decided_at, reason, spent_micro_usd, evidence, requester, decider, decider_key, able
FROM approvals
WHERE tenant = :tenant AND (:state = '' OR state = :state)
    AND (requested_at, id) > (:after_at, :after)
ORDER BY requested_at, id
LIMIT :limit;
