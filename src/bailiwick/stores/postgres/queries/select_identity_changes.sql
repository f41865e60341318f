-- List what was changed of an identity, the newest first.
-- in: tenant, identity, limit    out: id, tenant, identity, key, what, detail, at, by_identity, by_key
-- locks: nothing
SELECT id, tenant, identity, key, what, detail, at, by_identity, by_key
FROM identity_changes
WHERE tenant = :tenant AND identity = :identity
ORDER BY at DESC, id DESC
LIMIT :limit;
