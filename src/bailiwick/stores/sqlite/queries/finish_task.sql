-- Take a done task out of the queue, if it still is in that state and epoch; zero rows changed means fenced.
-- in: tenant, id, run, from_state, from_epoch    out: nothing
-- locks: the task's row
DELETE FROM tasks
WHERE tenant = :tenant AND id = :id AND run = :run AND state = :from_state AND epoch = :from_epoch;
