-- Read a stream in order.
-- in: tenant, name, after, limit    out: seq, header, leaf, salt, body, blob, position (0 while not placed)
-- locks: nothing
SELECT e.seq, e.header, e.leaf, p.salt, p.body, p.blob, coalesce(f.position, 0)
FROM streams AS s
JOIN events AS e ON e.stream = s.id
LEFT JOIN payloads AS p ON p.stream = e.stream AND p.seq = e.seq
LEFT JOIN places AS f ON f.stream = e.stream AND f.seq = e.seq
WHERE s.tenant = :tenant AND s.name = :name AND e.seq > :after
ORDER BY e.seq
LIMIT :limit;
