-- End what a worker held before, and forget sessions that have expired.
-- in: worker    out: nothing
-- locks: these sessions
DELETE FROM sessions WHERE worker = :worker OR expires_at <= now_us();
