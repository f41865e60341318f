-- Take a done task out of the queue, if it still is in that state and epoch; a row less changed than given means fenced.
-- in: tenant, id, run, from_state, from_epoch (an array of each)    out: nothing
-- locks: the tasks' rows
DELETE FROM tasks AS t
USING unnest(
    :tenant::text[], :id::text[], :run::text[], :from_state::text[], :from_epoch::bigint[]
) AS given (tenant, id, run, from_state, from_epoch)
WHERE t.tenant = given.tenant AND t.id = given.id AND t.run = given.run AND t.state = given.from_state AND t.epoch = given.from_epoch;
