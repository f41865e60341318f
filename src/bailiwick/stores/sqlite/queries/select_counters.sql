-- Find the last numbers given to events, streams and logs.
-- in: nothing    out: pos, stream, log
-- locks: nothing
SELECT
    max((SELECT coalesce(max(pos), 0) FROM events), (SELECT placed FROM feed)),
    (SELECT coalesce(max(id), 0) FROM streams),
    (SELECT coalesce(max(id), 0) FROM logs);
