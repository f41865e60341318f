-- List the API keys of one tenant, or of all when it is empty.
-- in: tenant    out: id, tenant, name, role, groups, mac, created_at, revoked_at
-- locks: nothing
SELECT id, tenant, name, role, groups, mac, created_at, revoked_at
FROM keys
WHERE :tenant = '' OR tenant = :tenant
ORDER BY tenant, id;
