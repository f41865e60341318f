-- A log's leaves are numbered from 0 without a gap, as many as its signed size.
-- over: logs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT l.name, l.name, 'size ' || l.size || ', ' || count(v.idx) || ' leaves up to ' || coalesce(max(v.idx), -1)
FROM logs AS l
LEFT JOIN leaves AS v ON v.log = l.id
GROUP BY l.id
HAVING count(v.idx) <> l.size OR coalesce(max(v.idx), -1) <> l.size - 1 OR coalesce(max(v.position), 0) <> l.through;
