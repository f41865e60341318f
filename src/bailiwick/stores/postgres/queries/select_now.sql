-- Read the clock that all processes of this database follow.
-- in: nothing    out: now (microseconds since 1970)
-- locks: nothing
SELECT now_us();
