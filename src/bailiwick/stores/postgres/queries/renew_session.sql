-- Extend a session that is alive; zero rows changed means that it is not.
-- in: lease (microseconds), id    out: nothing
-- locks: the session
UPDATE sessions SET expires_at = now_us() + :lease WHERE id = :id AND expires_at > now_us();
