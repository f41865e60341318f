-- Find the numbers of logs.
-- in: name (an array)    out: name, id
-- locks: nothing
SELECT name, id FROM logs WHERE name = ANY (:name::text[]);
