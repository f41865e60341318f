-- Put a task into the queue.
-- in: id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since (an array of each)    out: nothing; a taken id violates the primary key
-- locks: the new rows
INSERT INTO tasks (id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :run::text[], :step::text[], :call::text[], :capability::text[],
    :pool::text[], :priority::bigint[], :state::text[], :epoch::bigint[], :session::text[],
    :due_at::bigint[], :timeout_at::bigint[], :app::text[], :since::bigint[]
);
