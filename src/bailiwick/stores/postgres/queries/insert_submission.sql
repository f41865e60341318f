-- Take an idempotency key.
-- in: tenant, key, fingerprint, run (an array of each)    out: nothing; a taken key violates the primary key
-- locks: the new rows
INSERT INTO submissions (tenant, key, fingerprint, run)
SELECT * FROM unnest(
    :tenant::text[], :key::text[], :fingerprint::text[], :run::text[]
);
