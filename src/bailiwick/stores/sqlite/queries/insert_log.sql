-- Open a Merkle log.
-- in: id, name    out: nothing
-- locks: the new row
INSERT INTO logs (id, name) VALUES (:id, :name);
