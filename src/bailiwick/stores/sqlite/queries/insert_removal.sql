-- Note that the blob of a payload is to be removed, in the unit that erases the payload; nothing for one without a blob.
-- in: tenant, name, seq    out: nothing
-- locks: the new row
INSERT INTO removals (tenant, blob, since)
SELECT s.tenant, p.blob, now_us()
FROM streams AS s
JOIN events AS e ON e.stream = s.id
JOIN payloads AS p ON p.pos = e.pos
WHERE s.tenant = :tenant AND s.name = :name AND e.seq = :seq AND p.blob IS NOT NULL
ON CONFLICT (tenant, blob) DO UPDATE SET since = excluded.since;
