-- List a log's placed leaves without an index, in feed order.
-- in: log (name), limit    out: stream, seq, leaf, position
-- locks: nothing
SELECT s.name, e.seq, e.leaf, f.position
FROM logs AS l
JOIN places AS f ON f.log = l.id AND f.position > l.through
JOIN events AS e ON e.stream = f.stream AND e.seq = f.seq
JOIN streams AS s ON s.id = f.stream
WHERE l.name = :log
ORDER BY f.position
LIMIT :limit;
