-- Set or lift a halt; what was set stays as it was. Zero rows changed means that it was lifted before.
-- in: id, tenant, scope, target, reason, set_by, set_at, lifted_by, lifted_at (an array of each)    out: nothing
-- locks: the halts' rows
INSERT INTO halts (id, tenant, scope, target, reason, set_by, set_at, lifted_by, lifted_at)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :scope::text[], :target::text[], :reason::text[], :set_by::text[],
    :set_at::bigint[], :lifted_by::text[], :lifted_at::bigint[]
)
ON CONFLICT (tenant, id) DO UPDATE SET
    lifted_by = excluded.lifted_by,
    lifted_at = excluded.lifted_at
WHERE halts.lifted_at = 0;
