-- Open a stream of a tenant.
-- in: id, tenant, name, log    out: nothing
-- locks: the new row
INSERT INTO streams (id, tenant, name, log) VALUES (:id, :tenant, :name, :log);
