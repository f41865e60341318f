-- Write an identity, anew or over its earlier row; its name stays. A taken name violates the unique key.
-- in: id, tenant, name, kind, role, groups, created_at, created_by, disabled_at, formerly (an array of each)    out: nothing
-- locks: the identities' rows
INSERT INTO identities (id, tenant, name, kind, role, groups, created_at, created_by, disabled_at, formerly)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :name::text[], :kind::text[], :role::text[], :groups::text[],
    :created_at::bigint[], :created_by::text[], :disabled_at::bigint[], :formerly::text[]
)
ON CONFLICT (tenant, id) DO UPDATE SET
    role = excluded.role,
    groups = excluded.groups,
    disabled_at = excluded.disabled_at;
