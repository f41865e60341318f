-- End every session.
-- in: nothing    out: nothing
-- locks: all sessions
DELETE FROM sessions;
