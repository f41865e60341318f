-- Each workspace that a step records builds on the one that it recorded before, in the same attempt.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
WITH calls AS (
    SELECT s.tenant, s.name AS run, e.stream, e.seq, convert_from(e.header, 'UTF8')::jsonb AS header
    FROM events AS e
    JOIN streams AS s ON s.id = e.stream
    JOIN events AS o ON o.stream = e.stream AND o.seq = 1
    WHERE coalesce((convert_from(o.header, 'UTF8')::jsonb ->> 'edition')::int, 0) >= 2
),
written AS (
    SELECT tenant, run, stream, seq, header -> 'call' AS call
    FROM calls
    WHERE header ->> 'kind' = 'action.moved' AND header #>> '{call,state}' = 'done'
        AND coalesce(header #>> '{call,tree}', '') <> ''
)
SELECT tenant, run || '.' || seq, 'it built on ' || coalesce(nullif(base, ''), 'nothing') || ', not on ' || before
FROM (
    SELECT
        tenant, run, seq, call ->> 'base' AS base,
        lag(call ->> 'tree') OVER (PARTITION BY stream, call ->> 'step', call ->> 'attempt' ORDER BY seq) AS before
    FROM written
) AS lines
WHERE before IS NOT NULL AND before IS DISTINCT FROM base;
