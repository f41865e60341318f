-- Read placed events across streams.
-- in: after, limit    out: tenant, stream, seq, header, leaf, salt, body, blob, position
-- locks: nothing
SELECT s.tenant, s.name, e.seq, e.header, e.leaf, p.salt, p.body, p.blob, f.position
FROM places AS f
JOIN events AS e ON e.stream = f.stream AND e.seq = f.seq
JOIN streams AS s ON s.id = f.stream
LEFT JOIN payloads AS p ON p.stream = f.stream AND p.seq = f.seq
WHERE f.position > :after
ORDER BY f.position
LIMIT :limit;
