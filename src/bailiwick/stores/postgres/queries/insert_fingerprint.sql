-- Record the fingerprint of a key that has none yet; the first one stands.
-- in: name, value    out: nothing
-- locks: the new row
INSERT INTO fingerprints (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;
