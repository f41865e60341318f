-- A grant that was used up dispatched exactly one action, and that one is what was approved.
-- over: approvals    in: nothing    out: tenant, id, detail
-- locks: nothing
WITH dispatched AS (
    SELECT s.tenant, s.name AS run, e.seq, c.call
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
    JOIN (SELECT pos, CAST(header AS TEXT) -> '$.call' AS call FROM events WHERE CAST(header AS TEXT) ->> '$.kind' = 'action.moved') AS c ON c.pos = e.pos
    WHERE c.call ->> '$.state' = 'intended' AND coalesce(c.call ->> '$.approval', '') <> ''
)
SELECT a.tenant, a.id, 'it dispatched ' || count(DISTINCT d.call ->> '$.key') || ' actions'
FROM approvals AS a
LEFT JOIN dispatched AS d ON d.tenant = a.tenant AND d.call ->> '$.approval' = a.id
WHERE a.state = 'consumed'
GROUP BY a.tenant, a.id
HAVING count(DISTINCT d.call ->> '$.key') <> 1 OR max(d.run <> a.run OR d.call ->> '$.key' <> a.call OR d.call ->> '$.digest' <> a.digest OR d.call ->> '$.step' <> a.step);
