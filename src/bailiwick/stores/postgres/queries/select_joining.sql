-- List a log's placed events without an index, in feed order, with what they continue.
-- in: log (name), limit    out: tenant, stream, seq, leaf, header, before (leaf of the one before it), begun (it has an index), placed, overtaken (the one behind it has an index)
-- locks: nothing
SELECT
    s.tenant, s.name, e.seq, e.leaf, e.header, b.leaf, w.position IS NOT NULL,
    EXISTS (SELECT 1 FROM leaves AS own WHERE own.position = f.position),
    EXISTS (
        SELECT 1 FROM places AS n JOIN leaves AS v ON v.position = n.position
        WHERE n.stream = e.stream AND n.seq = e.seq + 1
    )
FROM logs AS l
JOIN places AS f ON f.log = l.id AND f.position > l.through
JOIN events AS e ON e.stream = f.stream AND e.seq = f.seq
JOIN streams AS s ON s.id = e.stream
LEFT JOIN events AS b ON b.stream = e.stream AND b.seq = e.seq - 1
LEFT JOIN places AS g ON g.stream = b.stream AND g.seq = b.seq
LEFT JOIN leaves AS w ON w.position = g.position
WHERE l.name = :log
ORDER BY f.position
LIMIT :limit;
