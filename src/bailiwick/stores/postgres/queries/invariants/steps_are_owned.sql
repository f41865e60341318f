-- A step that can go on has exactly one task: queued until its due time, or leased under its epoch.
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
SELECT i.tenant, i.run || '/' || i.step, 'it is ' || i.state || ' under epoch ' || i.epoch || '; its task is ' || coalesce(t.state || ' under epoch ' || t.epoch, 'absent')
FROM steps AS i
LEFT JOIN tasks AS t ON t.tenant = i.tenant AND t.run = i.run AND t.step = i.step
WHERE CASE
    WHEN i.state = 'ready' THEN t.state IS DISTINCT FROM 'queued'
    WHEN i.state = 'running' AND i.epoch > 0
        THEN t.state IS DISTINCT FROM 'leased' OR t.epoch <> i.epoch OR t.session <> i.session
    WHEN i.state = 'waiting' AND i.wait = 'retry' THEN t.state IS DISTINCT FROM 'queued' OR t.due_at <> i.due
    ELSE FALSE
END;
