-- Let the feed go on by at most so many events; commit order is already the order of every stream.
-- in: limit    out: nothing; nothing is written when there is nothing to place
-- locks: the feed's mark
UPDATE feed SET placed = min(placed + :limit, (SELECT max(pos) FROM events))
WHERE placed < (SELECT max(pos) FROM events);
