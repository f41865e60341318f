-- Find the index of an event's leaf.
-- in: log (name), tenant, stream (name), seq    out: idx
-- locks: nothing
SELECT v.idx
FROM logs AS l
JOIN streams AS s ON s.log = l.id
JOIN places AS f ON f.stream = s.id
JOIN leaves AS v ON v.position = f.position
WHERE l.name = :log AND s.tenant = :tenant AND s.name = :stream AND f.seq = :seq;
