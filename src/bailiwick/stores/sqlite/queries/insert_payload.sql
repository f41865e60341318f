-- Lay a payload beside its event: the body, or the digest of its blob.
-- in: pos, salt, body, blob    out: nothing
-- locks: the new row
INSERT INTO payloads (pos, salt, body, blob) VALUES (:pos, :salt, :body, :blob);
