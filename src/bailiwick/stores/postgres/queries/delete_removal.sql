-- Note that a blob was removed, or is needed again; once this much time has passed since it was to be removed.
-- in: tenant, blob, since, kept (microseconds)    out: nothing
-- locks: the row
DELETE FROM removals
WHERE tenant = :tenant AND blob = :blob AND since = :since AND since + :kept::bigint <= now_us();
