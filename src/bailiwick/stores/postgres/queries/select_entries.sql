-- Read integrated events in leaf order, with indices after < index <= after + limit.
-- in: log (name), after, limit    out: tenant, stream, seq, header, leaf, salt, body, blob, position
-- locks: nothing
SELECT s.tenant, s.name, e.seq, e.header, e.leaf, p.salt, p.body, p.blob, v.position
FROM logs AS l
JOIN leaves AS v ON v.log = l.id
JOIN places AS f ON f.position = v.position
JOIN events AS e ON e.stream = f.stream AND e.seq = f.seq
JOIN streams AS s ON s.id = e.stream
LEFT JOIN payloads AS p ON p.stream = e.stream AND p.seq = e.seq
WHERE l.name = :log AND v.idx > :after AND v.idx <= :after::bigint + :limit::bigint
ORDER BY v.idx;
