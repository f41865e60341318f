-- A leaf is the hash of its header.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT s.tenant, s.name || '.' || e.seq, 'the header was changed, or the leaf'
FROM events AS e
JOIN streams AS s ON s.id = e.stream
WHERE e.leaf <> sha256('\x00'::bytea || e.header);
