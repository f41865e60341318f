-- Move a task, if it still is in that state and epoch; a row less changed than given means fenced.
-- in: step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, since, tenant, id, run, from_state, from_epoch (an array of each)    out: nothing
-- locks: the tasks' rows
UPDATE tasks AS t SET
    step = given.step,
    call = given.call,
    capability = given.capability,
    pool = given.pool,
    priority = given.priority,
    state = given.state,
    epoch = given.epoch,
    session = given.session,
    due_at = given.due_at,
    timeout_at = given.timeout_at,
    since = given.since
FROM unnest(
    :step::text[], :call::text[], :capability::text[], :pool::text[], :priority::bigint[], :state::text[],
    :epoch::bigint[], :session::text[], :due_at::bigint[], :timeout_at::bigint[], :since::bigint[], :tenant::text[],
    :id::text[], :run::text[], :from_state::text[], :from_epoch::bigint[]
) AS given (step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, since, tenant, id, run, from_state, from_epoch)
WHERE t.tenant = given.tenant AND t.id = given.id AND t.run = given.run AND t.state = given.from_state AND t.epoch = given.from_epoch;
