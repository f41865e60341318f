-- Read the first leaf hashes of a log in order.
-- in: log (name), size    out: leaf
-- locks: nothing
SELECT e.leaf
FROM logs AS l
JOIN leaves AS v ON v.log = l.id
JOIN events AS e ON e.pos = v.pos
WHERE l.name = :log AND v.idx < :size
ORDER BY v.idx;
