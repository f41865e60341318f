-- Count a tenant's runs that have not ended, up to a number; those of one identity, unless its name is empty.
-- in: tenant, requested_by, most    out: count
-- locks: nothing
SELECT count(*) FROM (
    SELECT 1 FROM runs
    WHERE tenant = :tenant
        AND status IN ('created', 'context-loaded', 'planning', 'waiting-for-approval', 'executing', 'blocked')
        AND :requested_by IN ('', requested_by)
    LIMIT :most
) AS unfinished;
