-- Add one sealed event.
-- in: stream, seq, log, header, leaf (an array of each)    out: nothing; a taken seq violates the unique key
-- locks: the new rows
INSERT INTO events (stream, seq, log, header, leaf)
SELECT * FROM unnest(
    :stream::bigint[], :seq::bigint[], :log::bigint[], :header::bytea[], :leaf::bytea[]
);
