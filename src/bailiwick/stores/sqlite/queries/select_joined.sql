-- Read integrated events in leaf order without payloads, with indices after < index <= after + limit.
-- in: log (name), after, limit    out: idx, tenant, stream, seq, header, leaf
-- locks: nothing
SELECT v.idx, s.tenant, s.name, e.seq, e.header, e.leaf
FROM logs AS l
JOIN leaves AS v ON v.log = l.id
JOIN events AS e ON e.pos = v.pos
JOIN streams AS s ON s.id = e.stream
WHERE l.name = :log AND v.idx > :after AND v.idx <= :after + :limit
ORDER BY v.idx;
