-- Name the logs that have placed leaves without an index.
-- in: nothing    out: name
-- locks: nothing
SELECT name
FROM logs
WHERE EXISTS (SELECT 1 FROM places WHERE places.log = logs.id AND places.position > logs.through)
ORDER BY name;
