-- Tell the lowest index above all that are given in a log, and whether the log goes on behind the last of them.
-- in: log (name)    out: count, straight
-- locks: nothing
SELECT
    coalesce((SELECT max(v.idx) + 1 FROM leaves AS v WHERE v.log = l.id), 0),
    l.through = coalesce((SELECT v.position FROM leaves AS v WHERE v.log = l.id ORDER BY v.idx DESC LIMIT 1), 0)
FROM logs AS l
WHERE l.name = :log;
