-- Keep who changed what of an identity.
-- in: id, tenant, identity, key, what, detail, at, by_identity, by_key (an array of each)    out: nothing
-- locks: the new rows
INSERT INTO identity_changes (id, tenant, identity, key, what, detail, at, by_identity, by_key)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :identity::text[], :key::text[], :what::text[], :detail::text[],
    :at::bigint[], :by_identity::text[], :by_key::text[]
);
