-- Read the fingerprints of the deployment's keys.
-- in: nothing    out: name, value
-- locks: nothing
SELECT name, value FROM fingerprints ORDER BY name;
