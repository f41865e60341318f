-- What is below the relay's mark is placed: it never looks there again.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT s.tenant, s.name || '.' || e.seq, 'its transaction ' || e.xid || ' is below the mark ' || feed.settled
FROM feed
JOIN events AS e ON e.xid < feed.settled
LEFT JOIN streams AS s ON s.id = e.stream
LEFT JOIN places AS f ON f.stream = e.stream AND f.seq = e.seq
WHERE f.position IS NULL AND feed.settled <= pg_snapshot_xmin(pg_current_snapshot());
