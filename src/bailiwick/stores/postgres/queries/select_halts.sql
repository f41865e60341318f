-- List the halts that stand.
-- in: nothing    out: id, tenant, scope, target, reason, set_by, set_at, lifted_by, lifted_at
-- locks: nothing
SELECT id, tenant, scope, target, reason, set_by, set_at, lifted_by, lifted_at
FROM halts
WHERE lifted_at = 0
ORDER BY set_at, id;
