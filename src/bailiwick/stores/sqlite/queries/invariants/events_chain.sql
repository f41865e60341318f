-- An event carries the hash of its predecessor in the stream.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT tenant, name || '.' || seq, 'it follows ' || iif(prev = '', 'nothing', prev)
FROM (
    SELECT
        s.tenant, s.name, e.seq,
        CAST(e.header AS TEXT) ->> '$.prev' AS prev,
        lag(lower(hex(e.leaf)), 1, '') OVER (PARTITION BY e.stream ORDER BY e.seq) AS before
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
)
WHERE prev IS NOT before;
