-- A log's leaves stand in the order of the feed, and each is an event of that log.
-- over: leaves    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT coalesce(l.name, ''), 'leaf ' || v.idx, 'it stands for position ' || v.pos
FROM (SELECT log, idx, pos, lag(pos, 1, 0) OVER (PARTITION BY log ORDER BY idx) AS before FROM leaves) AS v
LEFT JOIN logs AS l ON l.id = v.log
LEFT JOIN events AS e ON e.pos = v.pos
WHERE v.pos <= v.before OR e.log IS NOT v.log;
