-- List the identities of one tenant, or of all when it is empty.
-- in: tenant    out: id, tenant, name, kind, role, groups, created_at, created_by, disabled_at, formerly
-- locks: nothing
SELECT id, tenant, name, kind, role, groups, created_at, created_by, disabled_at, formerly
FROM identities
WHERE :tenant = '' OR tenant = :tenant
ORDER BY tenant, name;
