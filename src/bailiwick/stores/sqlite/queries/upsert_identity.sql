-- Write an identity, anew or over its earlier row; its name stays. A taken name violates the unique key.
-- in: id, tenant, name, kind, role, groups, created_at, created_by, disabled_at, formerly    out: nothing
-- locks: the identity's row
INSERT INTO identities (id, tenant, name, kind, role, groups, created_at, created_by, disabled_at, formerly)
VALUES (:id, :tenant, :name, :kind, :role, :groups, :created_at, :created_by, :disabled_at, :formerly)
ON CONFLICT (tenant, id) DO UPDATE SET
    role = excluded.role,
    groups = excluded.groups,
    disabled_at = excluded.disabled_at;
