-- Put a task into the queue.
-- in: id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at, app, since    out: nothing; a taken id violates the primary key
-- locks: the new row
INSERT INTO tasks (
    id, tenant, run, step, call, capability, pool, priority, state, epoch, session, due_at, timeout_at,
    app, since
)
VALUES (
    :id, :tenant, :run, :step, :call, :capability, :pool, :priority, :state, :epoch, :session, :due_at, :timeout_at,
    :app, :since
);
