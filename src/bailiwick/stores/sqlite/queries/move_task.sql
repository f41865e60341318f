-- Move a task, if it still is in that state and epoch; zero rows changed means fenced.
-- in: step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, since, tenant, id, run, from_state, from_epoch    out: nothing
-- locks: the task's row
UPDATE tasks SET
    step = :step,
    call = :call,
    capability = :capability,
    pool = :pool,
    priority = :priority,
    state = :state,
    epoch = :epoch,
    session = :session,
    due_at = :due_at,
    timeout_at = :timeout_at,
    since = :since
WHERE tenant = :tenant AND id = :id AND run = :run AND state = :from_state AND epoch = :from_epoch;
