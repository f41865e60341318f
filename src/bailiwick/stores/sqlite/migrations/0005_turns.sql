-- The queue knows whose app a task is, so that apps of a tenant take turns, and since when it is due, so that its
-- age can be told. Within a lane the older run goes first.
ALTER TABLE tasks ADD COLUMN app TEXT NOT NULL DEFAULT '';

ALTER TABLE tasks ADD COLUMN since INTEGER NOT NULL DEFAULT 0;

UPDATE tasks SET
    app = coalesce((SELECT r.app FROM runs AS r WHERE r.tenant = tasks.tenant AND r.id = tasks.run), ''),
    since = coalesce((SELECT r.updated_at FROM runs AS r WHERE r.tenant = tasks.tenant AND r.id = tasks.run), 0);

DROP INDEX tasks_ready;

CREATE INDEX tasks_ready ON tasks (capability, tenant, app, priority, due_at, id) WHERE state = 'queued';
