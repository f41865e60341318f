-- The feed shows the events of a stream in the stream's order.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT s.tenant, s.name || '.' || e.seq, 'it comes at ' || coalesce(f.position::text, 'no place') || ', its successor at ' || later.position
FROM places AS later
JOIN events AS e ON e.stream = later.stream AND e.seq = later.seq - 1
JOIN streams AS s ON s.id = e.stream
LEFT JOIN places AS f ON f.stream = e.stream AND f.seq = e.seq
WHERE f.position IS NULL OR later.position < f.position;
