-- Write a tenant under its next edition. Zero rows changed means that another has changed it, its identities or its keys meanwhile.
-- in: id, created_at, created_by, disabled_at, edition    out: nothing
-- locks: the tenant's row
INSERT INTO tenants (id, created_at, created_by, disabled_at, edition)
VALUES (:id, :created_at, :created_by, :disabled_at, :edition)
ON CONFLICT (id) DO UPDATE SET
    disabled_at = excluded.disabled_at,
    edition = excluded.edition
WHERE tenants.edition = excluded.edition - 1;
