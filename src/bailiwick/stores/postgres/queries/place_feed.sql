-- Give the next positions to events that have none, in the order of every stream.
-- An event is visible only when the ones before it in its stream are, so a late commit is placed late and never
-- passed over. Transaction ids alone would turn two events of one stream round, hence the running maximum.
-- `horizon`: no transaction below it is open any more. A restored database counts from lower ids again: a mark
-- above the horizon says nothing there, and all is looked at once more.
-- in: limit    out: count
-- locks: the new rows; the feed's row, which the caller holds
WITH
mark AS (
    SELECT
        placed, horizon, CASE WHEN settled > horizon THEN '0'::xid8 ELSE settled END AS settled
    FROM feed, (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon) AS snapshot
),
waiting AS MATERIALIZED (
    SELECT
        e.stream, e.seq, e.log, e.xid,
        max(e.xid) OVER (PARTITION BY e.stream ORDER BY e.seq) AS late
    FROM events AS e
    WHERE e.xid >= (SELECT settled FROM mark)
        AND NOT EXISTS (SELECT 1 FROM places AS f WHERE f.stream = e.stream AND f.seq = e.seq)
),
chosen AS MATERIALIZED (
    SELECT stream, seq, log, row_number() OVER (ORDER BY late, stream, seq) AS turn
    FROM waiting
    ORDER BY late, stream, seq
    LIMIT :limit
),
given AS (
    INSERT INTO places (position, stream, seq, log)
    SELECT mark.placed + chosen.turn, chosen.stream, chosen.seq, chosen.log FROM chosen, mark
    RETURNING position
),
rest AS (
    SELECT min(w.xid) AS lowest FROM waiting AS w
    WHERE NOT EXISTS (SELECT 1 FROM chosen AS c WHERE c.stream = w.stream AND c.seq = w.seq)
),
moved AS (
    UPDATE feed SET
        placed = feed.placed + (SELECT count(*) FROM given),
        settled = least((SELECT horizon FROM mark), coalesce((SELECT lowest FROM rest), (SELECT horizon FROM mark)))
    WHERE (SELECT count(*) FROM given) > 0 OR feed.settled <> (SELECT settled FROM mark)
)
SELECT count(*) FROM given;
