-- Write the projection of a run, anew or over its earlier one.
-- in: id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline, allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for    out: nothing
-- locks: the run's row
INSERT INTO runs (
    id, tenant, app, workflow, title, status, version, requested_by, feature, team, created_at, updated_at, deadline,
    allotment_micro_usd, reserved_micro_usd, spent_micro_usd, waiting_for
)
VALUES (
    :id, :tenant, :app, :workflow, :title, :status, :version, :requested_by, :feature, :team, :created_at, :updated_at, :deadline,
    :allotment_micro_usd, :reserved_micro_usd, :spent_micro_usd, :waiting_for
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
