-- A stream's events are numbered from 1 without a gap.
-- over: streams    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT s.tenant, s.name, count(e.seq) || ' events, numbered ' || coalesce(min(e.seq), 0) || ' to ' || coalesce(max(e.seq), 0)
FROM streams AS s
LEFT JOIN events AS e ON e.stream = s.id
GROUP BY s.id
HAVING count(e.seq) = 0 OR min(e.seq) <> 1 OR max(e.seq) <> count(e.seq);
