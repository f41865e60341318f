-- Keep who changed what of an identity.
-- in: id, tenant, identity, key, what, detail, at, by_identity, by_key    out: nothing
-- locks: the new row
INSERT INTO identity_changes (id, tenant, identity, key, what, detail, at, by_identity, by_key)
VALUES (:id, :tenant, :identity, :key, :what, :detail, :at, :by_identity, :by_key);
