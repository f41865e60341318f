-- Name the workers whose sessions are alive.
-- in: nothing    out: worker
-- locks: nothing
SELECT worker FROM sessions WHERE expires_at > now_us() ORDER BY worker;
