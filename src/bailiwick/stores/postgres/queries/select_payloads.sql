-- Read payloads by seq.
-- in: tenant, name, seqs (JSON array)    out: seq, header, leaf, salt, body, blob, 0
-- locks: nothing
SELECT e.seq, e.header, e.leaf, p.salt, p.body, p.blob, 0
FROM streams AS s
JOIN events AS e ON e.stream = s.id
JOIN payloads AS p ON p.stream = e.stream AND p.seq = e.seq
WHERE s.tenant = :tenant AND s.name = :name
    AND e.seq IN (SELECT value::bigint FROM json_array_elements_text(:seqs::json));
