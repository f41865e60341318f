-- A log's leaves stand in the order of the feed, and each is an event of that log.
-- over: leaves    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT coalesce(l.name, ''), 'leaf ' || v.idx, 'it stands for position ' || v.position
FROM (
    SELECT log, idx, position, lag(position, 1, 0::bigint) OVER (PARTITION BY log ORDER BY idx) AS before FROM leaves
) AS v
LEFT JOIN logs AS l ON l.id = v.log
LEFT JOIN places AS f ON f.position = v.position
LEFT JOIN events AS e ON e.stream = f.stream AND e.seq = f.seq
WHERE v.position <= v.before OR e.log IS DISTINCT FROM v.log;
