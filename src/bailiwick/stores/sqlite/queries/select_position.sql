-- Find where an event lies.
-- in: tenant, name, seq    out: pos
-- locks: nothing
SELECT e.pos FROM streams AS s JOIN events AS e ON e.stream = s.id
WHERE s.tenant = :tenant AND s.name = :name AND e.seq = :seq;
