-- Write the projection of a run, anew or over its earlier one.
-- in: id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline, allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for (an array of each)    out: nothing
-- locks: the runs' rows
INSERT INTO runs (
    id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline,
    allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for
)
SELECT * FROM unnest(
    :id::text[], :tenant::text[], :app::text[], :workflow::text[], :title::text[], :status::text[],
    :version::bigint[], :requested_by::text[], :feature::text[], :team::text[], :created_at::bigint[],
    :updated_at::bigint[], :deadline::bigint[], :allotment_micro_usd::bigint[],
    :reserved_micro_usd::bigint[], :spent_micro_usd::bigint[], :waiting_for::text[]
)
ON CONFLICT (tenant, id) DO UPDATE SET
    app = excluded.app,
    workflow = excluded.workflow,
    title = excluded.title,
    status = excluded.status,
    version = excluded.version,
    requested_by = excluded.requested_by,
    feature = excluded.feature,
    team = excluded.team,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    deadline = excluded.deadline,
    allotment_micro_usd = excluded.allotment_micro_usd,
    reserved_micro_usd = excluded.reserved_micro_usd,
    spent_micro_usd = excluded.spent_micro_usd,
    waiting_for = excluded.waiting_for;
