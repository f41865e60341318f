-- Name the logs that have placed leaves without an index.
-- in: nothing    out: name
-- locks: nothing
SELECT name
FROM logs
WHERE EXISTS (
    SELECT 1 FROM events
    WHERE events.log = logs.id AND events.pos > logs.through AND events.pos <= (SELECT placed FROM feed)
)
ORDER BY name;
