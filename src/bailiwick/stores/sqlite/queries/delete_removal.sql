-- Note that a blob was removed, or is needed again; a later note that it is to go stays.
-- in: tenant, blob, since    out: nothing
-- locks: the row
DELETE FROM removals
WHERE tenant = :tenant AND blob = :blob AND since = :since;
