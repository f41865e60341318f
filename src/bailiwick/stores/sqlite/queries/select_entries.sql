-- Read integrated events in leaf order, with indices after < index <= after + limit.
-- in: log (name), after, limit    out: tenant, stream, seq, header, leaf, salt, body, blob, position
-- locks: nothing
SELECT s.tenant, s.name, e.seq, e.header, e.leaf, p.salt, p.body, p.blob, e.pos
FROM logs AS l
JOIN leaves AS v ON v.log = l.id
JOIN events AS e ON e.pos = v.pos
JOIN streams AS s ON s.id = e.stream
LEFT JOIN payloads AS p ON p.pos = e.pos
WHERE l.name = :log AND v.idx > :after AND v.idx <= :after + :limit
ORDER BY v.idx;
