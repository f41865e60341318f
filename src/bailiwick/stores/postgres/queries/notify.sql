-- Wake whoever listens: a hint, which may be lost.
-- in: payload    out: nothing
-- locks: nothing
SELECT pg_notify('bailiwick', :payload);
