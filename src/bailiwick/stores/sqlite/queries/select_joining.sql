-- List a log's placed events without an index, in feed order, with what they continue.
-- in: log (name), limit    out: tenant, stream, seq, leaf, header, before (leaf of the one before it), begun (it has an index), placed, overtaken (the one behind it has an index)
-- locks: nothing
SELECT
    s.tenant, s.name, e.seq, e.leaf, e.header, b.leaf, w.pos IS NOT NULL,
    EXISTS (SELECT 1 FROM leaves AS own WHERE own.pos = e.pos),
    EXISTS (
        SELECT 1 FROM events AS n JOIN leaves AS v ON v.pos = n.pos
        WHERE n.stream = e.stream AND n.seq = e.seq + 1
    )
FROM logs AS l
JOIN events AS e ON e.log = l.id AND e.pos > l.through
JOIN streams AS s ON s.id = e.stream
LEFT JOIN events AS b ON b.stream = e.stream AND b.seq = e.seq - 1
LEFT JOIN leaves AS w ON w.pos = b.pos
WHERE l.name = :log AND e.pos <= (SELECT placed FROM feed)
ORDER BY e.pos
LIMIT :limit;
