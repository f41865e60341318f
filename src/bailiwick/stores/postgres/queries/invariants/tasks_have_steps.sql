-- A task belongs to a step of an unfinished run that can go on.
-- over: tasks    in: nothing    out: tenant, id, detail
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
SELECT t.tenant, t.id, 'it is ' || t.state || '; its step is ' || coalesce(i.state, 'not of an unfinished run')
FROM tasks AS t
LEFT JOIN steps AS i ON i.tenant = t.tenant AND i.run = t.run AND i.step = t.step
WHERE i.state IS NULL OR t.id <> t.run || '/' || t.step
    OR NOT (i.state = 'ready' OR (i.state = 'running' AND i.epoch > 0) OR (i.state = 'waiting' AND i.wait = 'retry')
        OR (i.state = 'blocked' AND i.wait = 'probe'));
