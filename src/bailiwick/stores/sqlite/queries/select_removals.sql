-- List the blobs of erased payloads that are to be removed, by name, those behind the one given.
-- in: tenant, blob, limit    out: tenant, blob, since
-- locks: nothing
SELECT tenant, blob, since
FROM removals
WHERE (tenant, blob) > (:tenant, :blob)
ORDER BY tenant, blob
LIMIT :limit;
