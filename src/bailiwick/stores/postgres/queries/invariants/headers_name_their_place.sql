-- A header names the stream and the number under which it is stored.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT tenant, name || '.' || seq, 'its header says ' || concat_ws('.', header ->> 'stream', header ->> 'seq')
FROM (
    SELECT s.tenant, s.name, e.seq, convert_from(e.header, 'UTF8')::jsonb AS header
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
) AS placed
WHERE header ->> 'stream' IS DISTINCT FROM name OR header -> 'seq' IS DISTINCT FROM to_jsonb(seq);
