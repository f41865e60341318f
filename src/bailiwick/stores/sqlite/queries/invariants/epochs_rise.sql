-- Each claim of a step has a higher epoch than the claims before it.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT tenant, run || '.' || seq, step || ' came under epoch ' || epoch || ' after ' || before
FROM (
    SELECT
        s.tenant, s.name AS run, e.seq, m.value ->> '$.step' AS step, m.value ->> '$.epoch' AS epoch,
        lag(m.value ->> '$.epoch', 1, 0) OVER (PARTITION BY s.id, m.value ->> '$.step' ORDER BY e.seq, m.key) AS before
    FROM runs AS r
    JOIN streams AS s ON s.tenant = r.tenant AND s.name = r.id
    JOIN events AS e ON e.stream = s.id
    JOIN json_each(CAST(e.header AS TEXT), '$.moves') AS m
    WHERE m.value ->> '$.epoch' > 0
)
WHERE epoch <= before;
