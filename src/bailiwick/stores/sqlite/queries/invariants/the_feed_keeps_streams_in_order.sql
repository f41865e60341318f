-- The feed shows the events of a stream in the stream's order.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT s.tenant, s.name || '.' || e.seq, 'it comes at ' || e.pos || ', its successor at ' || later.pos
FROM events AS e
JOIN events AS later ON later.stream = e.stream AND later.seq = e.seq + 1
JOIN streams AS s ON s.id = e.stream
WHERE later.pos < e.pos;
