-- The feed's positions are numbered from 1 without a gap, and only what is there is placed.
-- over: feed    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT '', 'feed', count(e.pos) || ' events up to ' || coalesce(max(e.pos), 0) || ', placed up to ' || f.placed
FROM feed AS f
LEFT JOIN events AS e ON TRUE
GROUP BY f.one
HAVING coalesce(max(e.pos), 0) <> count(e.pos) OR f.placed > coalesce(max(e.pos), 0);
