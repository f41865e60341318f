-- Add one sealed event.
-- in: pos, stream, seq, log, header, leaf    out: nothing; a taken seq violates the unique key
-- locks: the new row
INSERT INTO events (pos, stream, seq, log, header, leaf) VALUES (:pos, :stream, :seq, :log, :header, :leaf);
