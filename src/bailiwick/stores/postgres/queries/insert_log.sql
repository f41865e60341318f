-- Open a Merkle log.
-- in: id, name (an array of each)    out: nothing
-- locks: the new rows
INSERT INTO logs (id, name)
SELECT * FROM unnest(
    :id::bigint[], :name::text[]
);
