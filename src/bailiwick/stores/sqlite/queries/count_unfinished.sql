-- Count a tenant's runs that have not ended, up to a number.
-- in: tenant, most    out: count
-- locks: nothing
SELECT count(*) FROM (
    SELECT 1 FROM runs
    WHERE tenant = :tenant
        AND status IN ('created', 'context-loaded', 'planning', 'waiting-for-approval', 'executing', 'blocked')
    LIMIT :most
) AS unfinished;
