-- Count the queued tasks that are due, by pool.
-- in: nothing    out: pool, count
-- locks: nothing
SELECT pool, count(*) FROM tasks WHERE state = 'queued' AND due_at <= now_us() GROUP BY pool;
