-- Write an API key, anew or over its earlier row.
-- in: id, tenant, name, role, groups, mac, created_at, revoked_at    out: nothing
-- locks: the key's row
INSERT INTO keys (id, tenant, name, role, groups, mac, created_at, revoked_at)
VALUES (:id, :tenant, :name, :role, :groups, :mac, :created_at, :revoked_at)
ON CONFLICT (tenant, id) DO UPDATE SET
    name = excluded.name,
    role = excluded.role,
    groups = excluded.groups,
    mac = excluded.mac,
    created_at = excluded.created_at,
    revoked_at = excluded.revoked_at;
