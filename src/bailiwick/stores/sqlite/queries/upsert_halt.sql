-- Set or lift a halt; what was set stays as it was. Zero rows changed means that it was lifted before.
-- in: id, tenant, scope, target, reason, set_by, set_at, lifted_by, lifted_at    out: nothing
-- locks: the halt's row
INSERT INTO halts (id, tenant, scope, target, reason, set_by, set_at, lifted_by, lifted_at)
VALUES (:id, :tenant, :scope, :target, :reason, :set_by, :set_at, :lifted_by, :lifted_at)
ON CONFLICT (tenant, id) DO UPDATE SET
    lifted_by = excluded.lifted_by,
    lifted_at = excluded.lifted_at
WHERE halts.lifted_at = 0;
