-- List the blobs of erased payloads that are to be removed, by name.
-- in: limit    out: tenant, blob, since
-- locks: nothing
SELECT tenant, blob, since
FROM removals
ORDER BY tenant, blob
LIMIT :limit;
