-- List the API keys of one tenant, or of all when it is empty.
-- in: tenant    out: id, tenant, identity, mac, created_at, created_by, expires_at, revoked_at
-- locks: nothing
SELECT id, tenant, identity, mac, created_at, created_by, expires_at, revoked_at
FROM keys
WHERE :tenant = '' OR tenant = :tenant
ORDER BY tenant, id;
