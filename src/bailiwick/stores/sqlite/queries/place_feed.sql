-- Let the feed go on by at most so many events; commit order is already the order of every stream.
-- in: limit    out: nothing
-- locks: the feed's mark
UPDATE feed SET placed = min(placed + :limit, (SELECT coalesce(max(pos), placed) FROM events));
