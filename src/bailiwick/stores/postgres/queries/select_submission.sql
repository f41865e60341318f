-- Find what was submitted under a key.
-- in: tenant, key    out: tenant, key, fingerprint, run
-- locks: nothing
SELECT tenant, key, fingerprint, run FROM submissions WHERE tenant = :tenant AND key = :key;
