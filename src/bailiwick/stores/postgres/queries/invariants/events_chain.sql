-- An event carries the hash of its predecessor in the stream.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT tenant, name || '.' || seq, 'it follows ' || CASE WHEN prev = '' THEN 'nothing' ELSE coalesce(prev, 'nothing') END
FROM (
    SELECT
        s.tenant, s.name, e.seq,
        convert_from(e.header, 'UTF8')::jsonb ->> 'prev' AS prev,
        lag(encode(e.leaf, 'hex'), 1, '') OVER (PARTITION BY e.stream ORDER BY e.seq) AS before
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
) AS linked
WHERE prev IS DISTINCT FROM before;
