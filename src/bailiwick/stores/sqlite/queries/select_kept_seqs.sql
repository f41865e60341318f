-- Name the events of a stream whose payload is there.
-- in: tenant, name, after, limit    out: seq
-- locks: nothing
SELECT e.seq
FROM streams AS s
JOIN events AS e ON e.stream = s.id
JOIN payloads AS p ON p.pos = e.pos
WHERE s.tenant = :tenant AND s.name = :name AND e.seq > :after
ORDER BY e.seq
LIMIT :limit;
