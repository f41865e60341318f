-- Read placed events across streams.
-- in: after, limit    out: tenant, stream, seq, header, leaf, salt, body, blob, position
-- locks: nothing
SELECT s.tenant, s.name, e.seq, e.header, e.leaf, p.salt, p.body, p.blob, e.pos
FROM events AS e
JOIN streams AS s ON s.id = e.stream
LEFT JOIN payloads AS p ON p.pos = e.pos
WHERE e.pos > :after AND e.pos <= (SELECT placed FROM feed)
ORDER BY e.pos
LIMIT :limit;
