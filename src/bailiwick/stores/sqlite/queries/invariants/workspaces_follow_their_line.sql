-- Each workspace that a step records builds on the one that it recorded before, in the same attempt.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
WITH written AS (
    SELECT s.tenant, s.name AS run, e.stream, e.seq, c.call
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
    JOIN events AS o ON o.stream = e.stream AND o.seq = 1
    JOIN (SELECT pos, CAST(header AS TEXT) -> '$.call' AS call FROM events WHERE CAST(header AS TEXT) ->> '$.kind' = 'action.moved') AS c ON c.pos = e.pos
    WHERE c.call ->> '$.state' = 'done' AND coalesce(c.call ->> '$.tree', '') <> ''
        AND coalesce(CAST(o.header AS TEXT) ->> '$.edition', 0) >= 2
)
SELECT tenant, run || '.' || seq, 'it built on ' || coalesce(nullif(base, ''), 'nothing') || ', not on ' || before
FROM (
    SELECT
        tenant, run, seq, call ->> '$.base' AS base,
        lag(call ->> '$.tree') OVER (PARTITION BY stream, call ->> '$.step', call ->> '$.attempt' ORDER BY seq) AS before
    FROM written
)
WHERE before IS NOT NULL AND before IS NOT base;
