-- Move an approval, if it still is in that state with that digest and, when asked, unexpired by the
-- database's clock, which must have come to `since`; a row less changed than given means that another was first.
-- in: seq, groups, holds, policy_version, expires_at, state, decided_by, decided_at, reason, spent_micro_usd, evidence, decider, decider_key, able, tenant, id, run, from_state, digest, unexpired, since (an array of each)    out: nothing
-- locks: the approvals' rows
UPDATE approvals AS t SET
    seq = given.seq,
    groups = given.groups,
    holds = given.holds,
    policy_version = given.policy_version,
    expires_at = given.expires_at,
    state = given.state,
    decided_by = given.decided_by,
    decided_at = given.decided_at,
    reason = given.reason,
    spent_micro_usd = given.spent_micro_usd,
    evidence = given.evidence,
    decider = given.decider,
    decider_key = given.decider_key,
    able = given.able
FROM unnest(
    :seq::bigint[], :groups::text[], :holds::text[], :policy_version::text[], :expires_at::bigint[],
    :state::text[], :decided_by::text[], :decided_at::bigint[], :reason::text[], :spent_micro_usd::bigint[],
    :evidence::text[], :decider::text[], :decider_key::text[], :able::text[], :tenant::text[], :id::text[], :run::text[], :from_state::text[], :digest::text[],
    :unexpired::boolean[], :since::bigint[]
) AS given (seq, groups, holds, policy_version, expires_at, state, decided_by, decided_at, reason, spent_micro_usd, evidence, decider, decider_key, able, tenant, id, run, from_state, digest, unexpired, since)
WHERE t.tenant = given.tenant AND t.id = given.id AND t.run = given.run AND t.state = given.from_state AND t.digest = given.digest
    AND (NOT given.unexpired OR t.expires_at > now_us()) AND given.since <= now_us();
