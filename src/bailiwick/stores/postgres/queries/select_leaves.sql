-- Read the first leaf hashes of a log in order.
-- in: log (name), size    out: leaf
-- locks: nothing
SELECT e.leaf
FROM logs AS l
JOIN leaves AS v ON v.log = l.id
JOIN places AS f ON f.position = v.position
JOIN events AS e ON e.stream = f.stream AND e.seq = f.seq
WHERE l.name = :log AND v.idx < :size
ORDER BY v.idx;
