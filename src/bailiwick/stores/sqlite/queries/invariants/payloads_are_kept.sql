-- A payload that an event commits to is there, unless an event of its tenant says that somebody erased it; then it is not.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
WITH acts AS (
    SELECT s.tenant, CAST(e.header AS TEXT) ->> '$.erased' AS event
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
    WHERE s.name = 'tenant:' || s.tenant AND CAST(e.header AS TEXT) ->> '$.kind' = 'payload.erased'
)
SELECT
    s.tenant, s.name || '.' || e.seq,
    iif(a.event IS NULL, 'its payload is gone, and nobody erased it', 'its payload was erased, and is there')
FROM events AS e
JOIN streams AS s ON s.id = e.stream
LEFT JOIN payloads AS p ON p.pos = e.pos
LEFT JOIN acts AS a ON a.tenant = s.tenant AND a.event = s.name || '.' || e.seq
WHERE CAST(e.header AS TEXT) ->> '$.payload' IS NOT NULL AND (p.pos IS NULL) <> (a.event IS NOT NULL);
