-- Read integrated events in leaf order without payloads, with indices after < index <= after + limit.
-- in: log (name), after, limit    out: idx, tenant, stream, seq, header, leaf
-- locks: nothing
SELECT v.idx, s.tenant, s.name, e.seq, e.header, e.leaf
FROM logs AS l
JOIN leaves AS v ON v.log = l.id
JOIN places AS f ON f.position = v.position
JOIN events AS e ON e.stream = f.stream AND e.seq = f.seq
JOIN streams AS s ON s.id = e.stream
WHERE l.name = :log AND v.idx > :after AND v.idx <= :after::bigint + :limit::bigint
ORDER BY v.idx;
