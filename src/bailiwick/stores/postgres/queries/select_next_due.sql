-- Tell when the next queued task becomes due.
-- in: nothing    out: due_at, 0 when none is queued
-- locks: nothing
SELECT coalesce(min(due_at), 0) FROM tasks WHERE state = 'queued';
