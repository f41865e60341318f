-- A grant that was used up dispatched exactly one action, and that one is what was approved.
-- over: approvals    in: nothing    out: tenant, id, detail
-- locks: nothing
WITH calls AS (
    SELECT s.tenant, s.name AS run, e.seq, convert_from(e.header, 'UTF8')::jsonb AS header
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
),
dispatched AS (
    SELECT tenant, run, seq, header -> 'call' AS call
    FROM calls
    WHERE header ->> 'kind' = 'action.moved' AND header #>> '{call,state}' = 'intended'
        AND coalesce(header #>> '{call,approval}', '') <> ''
)
SELECT a.tenant, a.id, 'it dispatched ' || count(DISTINCT d.call ->> 'key') || ' actions'
FROM approvals AS a
LEFT JOIN dispatched AS d ON d.tenant = a.tenant AND d.call ->> 'approval' = a.id
WHERE a.state = 'consumed'
GROUP BY a.tenant, a.id
HAVING count(DISTINCT d.call ->> 'key') <> 1
    OR bool_or(d.run <> a.run OR d.call ->> 'key' <> a.call OR d.call ->> 'digest' <> a.digest OR d.call ->> 'step' <> a.step);
