-- Each claim of a step has a higher epoch than the claims before it.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT tenant, run || '.' || seq, step || ' came under epoch ' || epoch || ' after ' || before
FROM (
    SELECT
        s.tenant, s.name AS run, e.seq, m.move ->> 'step' AS step, (m.move ->> 'epoch')::bigint AS epoch,
        lag((m.move ->> 'epoch')::bigint, 1, 0::bigint)
            OVER (PARTITION BY s.id, m.move ->> 'step' ORDER BY e.seq, m.place) AS before
    FROM runs AS r
    JOIN streams AS s ON s.tenant = r.tenant AND s.name = r.id
    JOIN events AS e ON e.stream = s.id
    CROSS JOIN LATERAL jsonb_path_query(convert_from(e.header, 'UTF8')::jsonb, '$.moves[*]') WITH ORDINALITY AS m (move, place)
    WHERE (m.move ->> 'epoch')::bigint > 0
) AS claimed
WHERE epoch <= before;
