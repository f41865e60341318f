-- The ground: streams and their events, side rows, the queue, projections, the feed and the audit logs.
-- Instants are microseconds since 1970 in UTC, money is in micro-USD, digests are 64 hexadecimal digits.

-- One Merkle log per tenant (`tenant:ID`) and one of the platform. `through`: the last event integrated.
CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL DEFAULT 0,
    frontier BLOB NOT NULL DEFAULT x'',
    note TEXT,
    through INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Names are a tenant's own: two tenants may use one name and never meet.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    log INTEGER NOT NULL,
    UNIQUE (tenant, name)
) STRICT;

-- One writer numbers events in commit order without gaps, so `pos` is the feed's position as well.
CREATE TABLE events (
    pos INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    log INTEGER NOT NULL,
    header BLOB NOT NULL,
    leaf BLOB NOT NULL,
    UNIQUE (stream, seq)
) STRICT;

CREATE INDEX events_by_log ON events (log, pos);

-- A body lies here, or in the blobs under `blob` when it is large; a row is erased without breaking a proof.
CREATE TABLE payloads (
    pos INTEGER PRIMARY KEY,
    salt BLOB NOT NULL,
    body BLOB,
    blob TEXT,
    CHECK ((body IS NULL) <> (blob IS NULL))
) STRICT;

CREATE TABLE leaves (
    log INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    pos INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (log, idx)
) STRICT, WITHOUT ROWID;

-- How far the relay has let the feed go.
CREATE TABLE feed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    placed INTEGER NOT NULL
) STRICT;

INSERT INTO feed (one, placed) VALUES (1, 0);

CREATE TABLE runs (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    app TEXT NOT NULL,
    workflow TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    requested_by TEXT NOT NULL,
    feature TEXT NOT NULL,
    team TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    allotment_micro_usd INTEGER NOT NULL,
    reserved_micro_usd INTEGER NOT NULL,
    spent_micro_usd INTEGER NOT NULL,
    waiting_for TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_status ON runs (tenant, status, id);

CREATE INDEX runs_by_deadline ON runs (deadline)
WHERE deadline > 0 AND status NOT IN ('completed', 'failed', 'canceled', 'rolled-back');

-- Work that is queued or leased; a row goes when its task is done, so the table stays as small as the work.
CREATE TABLE tasks (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    call TEXT NOT NULL,
    capability TEXT NOT NULL,
    pool TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'leased')),
    epoch INTEGER NOT NULL,
    session TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    timeout_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX tasks_ready ON tasks (capability, tenant, priority, due_at, id) WHERE state = 'queued';

CREATE INDEX tasks_due ON tasks (due_at) WHERE state = 'queued';

CREATE INDEX tasks_leased ON tasks (session) WHERE state = 'leased';

CREATE INDEX tasks_timed ON tasks (timeout_at) WHERE timeout_at > 0;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    worker TEXT NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    call TEXT NOT NULL,
    capability TEXT NOT NULL,
    digest TEXT NOT NULL,
    seq INTEGER NOT NULL,
    groups TEXT NOT NULL,
    holds TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    spent_micro_usd INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX approvals_by_age ON approvals (tenant, requested_at, id);

CREATE INDEX approvals_by_state ON approvals (state, requested_at, id);

CREATE INDEX approvals_by_run ON approvals (tenant, run);

CREATE TABLE postings (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    app TEXT NOT NULL,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    role TEXT NOT NULL,
    call TEXT NOT NULL,
    capability TEXT NOT NULL,
    at INTEGER NOT NULL,
    cost_micro_usd INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    usage_source TEXT NOT NULL,
    ended TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    first_token_ms INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    interruptions INTEGER NOT NULL,
    feature TEXT NOT NULL,
    team TEXT NOT NULL,
    PRIMARY KEY (tenant, run, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE submissions (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE halts (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    scope TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    lifted_by TEXT NOT NULL,
    lifted_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX halts_standing ON halts (set_at) WHERE lifted_at = 0;

CREATE TABLE keys (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    groups TEXT NOT NULL,
    mac TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
