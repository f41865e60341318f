-- A payload that an event commits to is there, unless an event of its tenant says that somebody erased it; then it is not.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
WITH said AS (
    SELECT s.tenant, s.name, e.stream, e.seq, convert_from(e.header, 'UTF8')::jsonb AS header
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
),
acts AS (
    SELECT tenant, header ->> 'erased' AS event
    FROM said
    WHERE name = 'tenant:' || tenant AND header ->> 'kind' = 'payload.erased'
)
SELECT
    e.tenant, e.name || '.' || e.seq,
    CASE WHEN a.event IS NULL THEN 'its payload is gone, and nobody erased it' ELSE 'its payload was erased, and is there' END
FROM said AS e
LEFT JOIN payloads AS p ON p.stream = e.stream AND p.seq = e.seq
LEFT JOIN acts AS a ON a.tenant = e.tenant AND a.event = e.name || '.' || e.seq
WHERE e.header ->> 'payload' IS NOT NULL AND (p.seq IS NULL) <> (a.event IS NOT NULL);
