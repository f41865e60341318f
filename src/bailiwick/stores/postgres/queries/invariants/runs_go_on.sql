-- An unfinished run has a step that can go on, or that waits for something named.
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
SELECT r.tenant, r.id, 'it is ' || r.status || ' and nothing of it is ready, running, waiting or blocked'
FROM runs AS r
WHERE r.status NOT IN ('completed', 'failed', 'canceled', 'rolled-back') AND NOT EXISTS (
    SELECT 1 FROM steps AS i
    WHERE i.tenant = r.tenant AND i.run = r.id
        AND (i.state IN ('ready', 'waiting', 'blocked') OR (i.state = 'running' AND i.epoch > 0))
);
