-- Read a log's newest head.
-- in: name    out: id, size, frontier, note (NULL while it has no head)
-- locks: nothing
SELECT id, size, frontier, note FROM logs WHERE name = :name;
