-- Find the index of an event's leaf.
-- in: log (name), tenant, stream (name), seq    out: idx
-- locks: nothing
SELECT v.idx
FROM logs AS l
JOIN streams AS s ON s.log = l.id
JOIN events AS e ON e.stream = s.id
JOIN leaves AS v ON v.pos = e.pos
WHERE l.name = :log AND s.tenant = :tenant AND s.name = :stream AND e.seq = :seq;
