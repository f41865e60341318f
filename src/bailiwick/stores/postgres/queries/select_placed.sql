-- Tell how far the feed goes.
-- in: nothing    out: placed
-- locks: nothing
SELECT placed FROM feed;
