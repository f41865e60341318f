-- Count the payloads of a tenant that lie in a blob.
-- in: tenant, blob    out: count
-- locks: nothing
SELECT count(*)
FROM payloads AS p
JOIN streams AS s ON s.id = p.stream
WHERE s.tenant = :tenant AND p.blob = :blob;
