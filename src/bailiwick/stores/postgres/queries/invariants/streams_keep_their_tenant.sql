-- A stream's events go into the log of its own tenant, the platform's into the platform's.
-- over: streams    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT s.tenant, s.name, 'it goes into the log ' || coalesce(l.name, 'that is absent')
FROM streams AS s
LEFT JOIN logs AS l ON l.id = s.log
WHERE l.name IS DISTINCT FROM CASE WHEN s.tenant = '' THEN 'platform' ELSE 'tenant:' || s.tenant END;
