-- Read the newest head of every log that has one.
-- in: nothing    out: name, size, frontier, note
-- locks: nothing
SELECT name, size, frontier, note FROM logs WHERE note IS NOT NULL ORDER BY name;
