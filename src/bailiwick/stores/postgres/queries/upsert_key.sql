-- Write an API key, anew or over its earlier row; only its end may change.
-- in: id, tenant, identity, mac, created_at, created_by, expires_at, revoked_at (an array of each)    out: nothing
-- locks: the keys' rows
INSERT INTO keys (id, tenant, identity, mac, created_at, created_by, expires_at, revoked_at)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :identity::text[], :mac::text[], :created_at::bigint[],
    :created_by::text[], :expires_at::bigint[], :revoked_at::bigint[]
)
ON CONFLICT (tenant, id) DO UPDATE SET
    revoked_at = excluded.revoked_at;
