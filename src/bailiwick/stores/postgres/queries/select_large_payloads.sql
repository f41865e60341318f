-- List the payloads that lie in the blobs, in feed order; those of events without a place follow in one order.
-- in: after (position), limit    out: pos, tenant, stream, seq, header, salt, blob
-- locks: nothing
SELECT pos, tenant, name, seq, header, salt, blob
FROM (
    SELECT
        coalesce(
            f.position,
            (SELECT placed FROM feed) + row_number() OVER (PARTITION BY f.position IS NULL ORDER BY p.stream, p.seq)
        ) AS pos,
        s.tenant, s.name, e.seq, e.header, p.salt, p.blob
    FROM payloads AS p
    JOIN events AS e ON e.stream = p.stream AND e.seq = p.seq
    JOIN streams AS s ON s.id = e.stream
    LEFT JOIN places AS f ON f.stream = p.stream AND f.seq = p.seq
    WHERE p.blob IS NOT NULL
) AS large
WHERE pos > :after
ORDER BY pos
LIMIT :limit;
