-- A task, a request, a posting or a submission belongs to a run of its own tenant.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT c.tenant, c.id, 'its run is ' || c.run || ', which this tenant has not'
FROM (
    SELECT tenant, 'task ' || id AS id, run FROM tasks
    UNION ALL SELECT tenant, 'approval ' || id, run FROM approvals
    UNION ALL SELECT tenant, 'posting ' || id, run FROM postings
    UNION ALL SELECT tenant, 'submission ' || key, run FROM submissions
) AS c
LEFT JOIN runs AS r ON r.tenant = c.tenant AND r.id = c.run
WHERE r.id IS NULL;
