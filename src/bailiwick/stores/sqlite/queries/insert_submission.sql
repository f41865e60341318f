-- Take an idempotency key.
-- in: tenant, key, fingerprint, run    out: nothing; a taken key violates the primary key
-- locks: the new row
INSERT INTO submissions (tenant, key, fingerprint, run) VALUES (:tenant, :key, :fingerprint, :run);
