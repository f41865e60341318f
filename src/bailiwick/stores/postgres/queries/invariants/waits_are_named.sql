-- A step that waits for people says for which request, one that is blocked says who must act and why.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
WITH moved AS (
    SELECT r.tenant, r.id AS run, e.seq, m.place, m.move, m.move ->> 'step' AS step
    FROM runs AS r
    JOIN streams AS s ON s.tenant = r.tenant AND s.name = r.id
    JOIN events AS e ON e.stream = s.id
    CROSS JOIN LATERAL jsonb_path_query(convert_from(e.header, 'UTF8')::jsonb, '$.moves[*]') WITH ORDINALITY AS m (move, place)
    WHERE r.status NOT IN ('completed', 'failed', 'canceled', 'rolled-back')
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY tenant, run, step ORDER BY seq DESC, place DESC) AS nth FROM moved
),
steps AS (
    SELECT
        tenant, run, step,
        move ->> 'to' AS state,
        coalesce((move ->> 'epoch')::bigint, 0) AS epoch,
        coalesce(move ->> 'session', '') AS session,
        coalesce(move ->> 'reason', '') AS reason,
        coalesce(move #>> '{wait,kind}', '') AS wait,
        coalesce((move #>> '{wait,until}')::bigint, 0) AS due,
        coalesce(move #>> '{wait,ref}', '') AS ref
    FROM ranked
    WHERE nth = 1
)
SELECT i.tenant, i.run || '/' || i.step, 'it is ' || i.state || ' for ' || i.wait || ' ' || i.ref || '; the request is ' || coalesce(a.state, 'absent')
FROM steps AS i
LEFT JOIN approvals AS a ON a.tenant = i.tenant AND a.id = i.ref
WHERE (i.state = 'blocked' AND i.reason = '')
    OR (i.state = 'waiting' AND i.wait = '')
    OR (i.state = 'waiting' AND i.wait = 'approval' AND (a.state IS DISTINCT FROM 'pending' OR a.run <> i.run OR a.step <> i.step));
