-- Let one sequencer at a time continue a log; the next one then sees what this one has written.
-- in: name    out: id
-- locks: the log's row until the transaction ends
SELECT id FROM logs WHERE name = :name FOR UPDATE;
