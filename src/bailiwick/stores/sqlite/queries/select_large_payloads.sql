-- List the payloads that lie in the blobs, in feed order.
-- in: after (position), limit    out: pos, tenant, stream, seq, header, salt, blob
-- locks: nothing
SELECT p.pos, s.tenant, s.name, e.seq, e.header, p.salt, p.blob
FROM payloads AS p
JOIN events AS e ON e.pos = p.pos
JOIN streams AS s ON s.id = e.stream
WHERE p.blob IS NOT NULL AND p.pos > :after
ORDER BY p.pos
LIMIT :limit;
