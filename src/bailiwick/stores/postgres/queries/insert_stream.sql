-- Open a stream of a tenant.
-- in: id, tenant, name, log (an array of each)    out: nothing
-- locks: the new rows
INSERT INTO streams (id, tenant, name, log)
SELECT * FROM unnest(
    :id::bigint[], :tenant::text[], :name::text[], :log::bigint[]
);
