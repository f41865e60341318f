-- An action that waited for people was dispatched under a grant of its own that is used up.
-- over: events    in: nothing    out: tenant, id, detail
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
SELECT d.tenant, d.run || '.' || d.seq, 'its approval ' || (d.call ->> 'approval') || ' is ' || coalesce(a.state, 'absent')
FROM dispatched AS d
LEFT JOIN approvals AS a ON a.tenant = d.tenant AND a.id = d.call ->> 'approval'
WHERE a.state IS DISTINCT FROM 'consumed' OR a.digest <> d.call ->> 'digest' OR a.run <> d.run;
