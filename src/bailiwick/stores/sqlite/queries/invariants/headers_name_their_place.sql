-- A header names the stream and the number under which it is stored.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT s.tenant, s.name || '.' || e.seq, 'its header says ' || (CAST(e.header AS TEXT) ->> '$.stream') || '.' || (CAST(e.header AS TEXT) ->> '$.seq')
FROM events AS e
JOIN streams AS s ON s.id = e.stream
WHERE CAST(e.header AS TEXT) ->> '$.stream' IS NOT s.name OR CAST(e.header AS TEXT) ->> '$.seq' IS NOT e.seq;
