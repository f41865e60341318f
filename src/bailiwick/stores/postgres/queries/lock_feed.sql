-- Let one relay at a time give positions; the next one then sees what this one has given.
-- in: nothing    out: placed, settled
-- locks: the feed's row until the transaction ends
SELECT placed, settled FROM feed FOR UPDATE;
