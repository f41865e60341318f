-- A payload has the event whose header commits to it.
-- over: payloads    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT tenant, place, 'no header commits to this content'
FROM (
    SELECT
        coalesce(s.tenant, '') AS tenant,
        coalesce(s.name || '.' || p.seq, 'stream ' || p.stream || ', number ' || p.seq) AS place,
        convert_from(e.header, 'UTF8')::jsonb ->> 'payload' AS committed,
        p.salt, p.body
    FROM payloads AS p
    LEFT JOIN events AS e ON e.stream = p.stream AND e.seq = p.seq
    LEFT JOIN streams AS s ON s.id = e.stream
) AS kept
WHERE committed IS NULL
    OR (
        body IS NOT NULL AND committed IS DISTINCT FROM CASE
            WHEN length(salt) BETWEEN 16 AND 255
                THEN encode(sha256('bailiwick.payload.v1\000'::bytea || set_byte('\x00', 0, length(salt)) || salt || body), 'hex')
        END
    );
