-- Write an API key, anew or over its earlier row.
-- in: id, tenant, name, role, groups, mac, created_at, revoked_at (an array of each)    out: nothing
-- locks: the keys' rows
INSERT INTO keys (id, tenant, name, role, groups, mac, created_at, revoked_at)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :name::text[], :role::text[], :groups::text[], :mac::text[],
    :created_at::bigint[], :revoked_at::bigint[]
)
ON CONFLICT (tenant, id) DO UPDATE SET
    name = excluded.name,
    role = excluded.role,
    groups = excluded.groups,
    mac = excluded.mac,
    created_at = excluded.created_at,
    revoked_at = excluded.revoked_at;
