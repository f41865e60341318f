-- Give a leaf its index.
-- in: log, idx, position (an array of each)    out: nothing; a leaf that has an index violates the unique key
-- locks: the new rows
INSERT INTO leaves (log, idx, position)
SELECT * FROM unnest(
    :log::bigint[], :idx::bigint[], :position::bigint[]
);
