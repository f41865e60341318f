-- Move an approval, if it still is in that state with that digest and, when asked, unexpired by the
-- database's clock, which must have come to `since`; zero rows changed means that another was first.
-- in: seq, groups, holds, policy_version, expires_at, state, decided_by, decided_at, reason, spent_micro_usd, evidence, decider, decider_key, able, tenant, id, run, from_state, digest, unexpired, since    out: nothing
-- locks: the approval's row
UPDATE approvals SET
    seq = :seq,
    groups = :groups,
    holds = :holds,
    policy_version = :policy_version,
    expires_at = :expires_at,
    state = :state,
    decided_by = :decided_by,
    decided_at = :decided_at,
    reason = :reason,
    spent_micro_usd = :spent_micro_usd,
    evidence = :evidence,
    decider = :decider,
    decider_key = :decider_key,
    able = :able
WHERE tenant = :tenant AND id = :id AND run = :run AND state = :from_state AND digest = :digest
    AND (NOT :unexpired OR expires_at > now_us()) AND :since <= now_us();
