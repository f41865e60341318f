-- A payload has the event whose header commits to it.
-- over: payloads    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT coalesce(s.tenant, ''), coalesce(s.name || '.' || e.seq, 'position ' || p.pos), 'no header commits to this content'
FROM payloads AS p
LEFT JOIN events AS e ON e.pos = p.pos
LEFT JOIN streams AS s ON s.id = e.stream
WHERE CAST(e.header AS TEXT) ->> '$.payload' IS NULL
    OR (p.body IS NOT NULL AND CAST(e.header AS TEXT) ->> '$.payload' <> commitment_of(p.salt, p.body));
