-- List a log's placed leaves without an index, in feed order.
-- in: log (name), limit    out: stream, seq, leaf, pos
-- locks: nothing
SELECT s.name, e.seq, e.leaf, e.pos
FROM logs AS l
JOIN events AS e ON e.log = l.id AND e.pos > l.through
JOIN streams AS s ON s.id = e.stream
WHERE l.name = :log AND e.pos <= (SELECT placed FROM feed)
ORDER BY e.pos
LIMIT :limit;
