-- The feed's positions are numbered from 1 without a gap, and only what is there is placed.
-- over: feed    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT '', 'feed', count(f.position) || ' places up to ' || coalesce(max(f.position), 0) || ', placed up to ' || feed.placed || ', ' || count(e.seq) || ' events in them'
FROM feed
LEFT JOIN places AS f ON TRUE
LEFT JOIN events AS e ON e.stream = f.stream AND e.seq = f.seq AND e.log = f.log
GROUP BY feed.one
HAVING coalesce(max(f.position), 0) <> count(f.position) OR feed.placed <> count(f.position) OR count(e.seq) <> count(f.position)
    OR coalesce(min(f.position), 1) <> 1;
