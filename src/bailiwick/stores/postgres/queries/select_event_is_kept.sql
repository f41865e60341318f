-- Tell whether exactly this event lies in the log.
-- in: stream, seq, leaf    out: a truth value
-- locks: nothing
SELECT EXISTS (SELECT FROM events WHERE stream = :stream AND seq = :seq AND leaf = :leaf);
