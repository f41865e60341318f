-- Find where a stream stands.
-- in: tenant, name    out: stream, log, seq (0 when empty), leaf (NULL when empty)
-- locks: nothing
SELECT s.id, s.log, coalesce(e.seq, 0), e.leaf
FROM streams AS s
LEFT JOIN events AS e ON e.stream = s.id AND e.seq = (SELECT max(seq) FROM events WHERE stream = s.id)
WHERE s.tenant = :tenant AND s.name = :name;
