-- Find a log's number.
-- in: name    out: id
-- locks: nothing
SELECT id FROM logs WHERE name = :name;
