-- Begin a session.
-- in: id, worker, lease (microseconds)    out: nothing; a taken id violates the primary key
-- locks: the new row
INSERT INTO sessions (id, worker, expires_at) VALUES (:id, :worker, now_us() + :lease);
