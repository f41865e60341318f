-- List the tenants.
-- in: nothing    out: id, created_at, created_by, disabled_at, edition
-- locks: nothing
SELECT id, created_at, created_by, disabled_at, edition
FROM tenants
ORDER BY id;
