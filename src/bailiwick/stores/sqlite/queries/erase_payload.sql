-- Erase a payload: salt and body go together, so that its commitment says nothing any more; zero rows changed means that
-- there is none.
-- in: tenant, name, seq    out: nothing
-- locks: the payload's row
DELETE FROM payloads
WHERE pos = (
    SELECT e.pos
    FROM streams AS s
    JOIN events AS e ON e.stream = s.id
    WHERE s.tenant = :tenant AND s.name = :name AND e.seq = :seq
);
