-- An event belongs to a stream, and to that stream's log.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT coalesce(s.tenant, ''), coalesce(s.name, '?') || '.' || e.seq, 'it lies in the log ' || e.log
FROM events AS e
LEFT JOIN streams AS s ON s.id = e.stream
WHERE s.log IS DISTINCT FROM e.log;
