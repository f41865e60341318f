-- Lay a payload beside its event: the body, or the digest of its blob.
-- in: stream, seq, salt, body, blob (an array of each)    out: nothing
-- locks: the new rows
INSERT INTO payloads (stream, seq, salt, body, blob)
SELECT * FROM unnest(
    :stream::bigint[], :seq::bigint[], :salt::bytea[], :body::bytea[], :blob::text[]
);
