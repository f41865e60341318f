-- Note that the blob of a payload is to be removed, in the unit that erases the payload; nothing for one without a blob.
-- in: tenant, name, seq (an array of each)    out: nothing
-- locks: the new rows
INSERT INTO removals (tenant, blob, since)
SELECT s.tenant, p.blob, max(now_us())
FROM unnest(:tenant::text[], :name::text[], :seq::bigint[]) AS given (tenant, name, seq)
JOIN streams AS s ON s.tenant = given.tenant AND s.name = given.name
JOIN payloads AS p ON p.stream = s.id AND p.seq = given.seq
WHERE p.blob IS NOT NULL
GROUP BY s.tenant, p.blob
ON CONFLICT (tenant, blob) DO UPDATE SET since = excluded.since;
