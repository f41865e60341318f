-- Write a tenant under its next edition. Zero rows changed means that another has changed it, its identities or its keys meanwhile.
-- in: id, created_at, created_by, disabled_at, edition (an array of each)    out: nothing
-- locks: the tenants' rows
INSERT INTO tenants (id, created_at, created_by, disabled_at, edition)
SELECT * FROM unnest(
    :id::text[], :created_at::bigint[], :created_by::text[], :disabled_at::bigint[], :edition::bigint[]
)
ON CONFLICT (id) DO UPDATE SET
    disabled_at = excluded.disabled_at,
    edition = excluded.edition
WHERE tenants.edition = excluded.edition - 1;
