-- Give a leaf its index.
-- in: log, idx, pos    out: nothing; a leaf that has an index violates the unique key
-- locks: the new row
INSERT INTO leaves (log, idx, pos) VALUES (:log, :idx, :pos);
