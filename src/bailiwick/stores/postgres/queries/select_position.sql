-- Find where an event lies.
-- in: tenant, name, seq    out: position
-- locks: nothing
SELECT f.position FROM streams AS s JOIN places AS f ON f.stream = s.id
WHERE s.tenant = :tenant AND s.name = :name AND f.seq = :seq;
