-- An action that waited for people was dispatched under a grant of its own that is used up.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
WITH dispatched AS (
    SELECT s.tenant, s.name AS run, e.seq, c.call
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
    JOIN (SELECT pos, CAST(header AS TEXT) -> '$.call' AS call FROM events WHERE CAST(header AS TEXT) ->> '$.kind' = 'action.moved') AS c ON c.pos = e.pos
    WHERE c.call ->> '$.state' = 'intended' AND coalesce(c.call ->> '$.approval', '') <> ''
)
SELECT d.tenant, d.run || '.' || d.seq, 'its approval ' || (d.call ->> '$.approval') || ' is ' || coalesce(a.state, 'absent')
FROM dispatched AS d
LEFT JOIN approvals AS a ON a.tenant = d.tenant AND a.id = d.call ->> '$.approval'
WHERE a.state IS NOT 'consumed' OR a.digest <> d.call ->> '$.digest' OR a.run <> d.run;
