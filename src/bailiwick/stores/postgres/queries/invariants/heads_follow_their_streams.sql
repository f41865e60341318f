-- A run's head stands where its stream stands.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT r.tenant, r.id, 'its head says version ' || r.version || ', ' || r.status
FROM runs AS r
WHERE NOT EXISTS (
    SELECT 1
    FROM streams AS s
    JOIN events AS e ON e.stream = s.id
    WHERE s.tenant = r.tenant AND s.name = r.id AND e.seq = r.version
        AND convert_from(e.header, 'UTF8')::jsonb ->> 'status' = r.status
        AND NOT EXISTS (SELECT 1 FROM events AS later WHERE later.stream = s.id AND later.seq > r.version)
);
