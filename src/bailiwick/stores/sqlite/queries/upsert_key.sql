-- Write an API key, anew or over its earlier row; only its end may change.
-- in: id, tenant, identity, mac, created_at, created_by, expires_at, revoked_at    out: nothing
-- locks: the key's row
INSERT INTO keys (id, tenant, identity, mac, created_at, created_by, expires_at, revoked_at)
VALUES (:id, :tenant, :identity, :mac, :created_at, :created_by, :expires_at, :revoked_at)
ON CONFLICT (tenant, id) DO UPDATE SET
    revoked_at = excluded.revoked_at;
