-- Find where streams stand; one that is not there gets no row.
-- in: tenant, name (an array of each)    out: tenant, name, stream, log, seq (0 when empty), leaf (NULL when empty)
-- locks: nothing
SELECT s.tenant, s.name, s.id, s.log, coalesce(e.seq, 0), e.leaf
FROM unnest(:tenant::text[], :name::text[]) AS given (tenant, name)
JOIN streams AS s ON s.tenant = given.tenant AND s.name = given.name
LEFT JOIN LATERAL (
    SELECT seq, leaf FROM events WHERE events.stream = s.id ORDER BY seq DESC LIMIT 1
) AS e ON true;
