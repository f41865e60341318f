-- Count the payloads of a tenant that lie in a blob.
-- in: tenant, blob    out: count
-- locks: nothing
SELECT count(*)
FROM payloads AS p
JOIN events AS e ON e.stream = p.stream AND e.seq = p.seq
JOIN streams AS s ON s.id = e.stream
WHERE s.tenant = :tenant AND p.blob = :blob;
