-- Name the capabilities that queued tasks ask for, each once; it hops over the index from one to the next.
-- in: nothing    out: capability
-- locks: nothing
WITH RECURSIVE asked (capability) AS (
    SELECT (SELECT capability FROM tasks WHERE state = 'queued' ORDER BY capability LIMIT 1)
    UNION ALL
    SELECT (
        SELECT capability FROM tasks WHERE state = 'queued' AND tasks.capability > asked.capability
        ORDER BY capability LIMIT 1
    ) FROM asked WHERE capability IS NOT NULL
)
SELECT capability FROM asked WHERE capability IS NOT NULL;
