-- The ground: streams and their events, side rows, the queue, projections, the feed and the audit logs.
-- Instants are microseconds since 1970 in UTC, money is in micro-USD, digests are 64 hexadecimal digits.
-- Texts compare as bytes (COLLATE "C"), as they do in the embedded store: order must not hang on a locale.

-- The one clock that leases, due times and expiries compare with.
CREATE FUNCTION now_us() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- Numbers are handed to processes in blocks, so that a new stream costs no round trip.
CREATE SEQUENCE numbers INCREMENT BY 65536;

-- One Merkle log per tenant (`tenant:ID`) and one of the platform. `through`: the last position integrated.
CREATE TABLE logs (
    id bigint PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    size bigint NOT NULL DEFAULT 0,
    frontier bytea NOT NULL DEFAULT '',
    note text,
    through bigint NOT NULL DEFAULT 0
);

-- Names are a tenant's own: two tenants may use one name and never meet.
CREATE TABLE streams (
    id bigint PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    log bigint NOT NULL,
    UNIQUE (tenant, name)
);

-- `xid` is the transaction that wrote the event: below the oldest one still open all is decided.
CREATE TABLE events (
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    log bigint NOT NULL,
    header bytea NOT NULL,
    leaf bytea NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (stream, seq)
);

CREATE INDEX events_by_xid ON events (xid);

-- A body lies here, or in the blobs under `blob` when it is large; a row is erased without breaking a proof.
CREATE TABLE payloads (
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    salt bytea NOT NULL,
    body bytea,
    blob text,
    PRIMARY KEY (stream, seq),
    CHECK ((body IS NULL) <> (blob IS NULL))
);

-- Where the relay has put each event; rows are only ever added.
CREATE TABLE places (
    position bigint PRIMARY KEY,
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    log bigint NOT NULL,
    UNIQUE (stream, seq)
);

CREATE INDEX places_by_log ON places (log, position);

-- How far the relay has let the feed go, and below which transaction every event is placed.
CREATE TABLE feed (
    one integer PRIMARY KEY CHECK (one = 1),
    placed bigint NOT NULL,
    settled xid8 NOT NULL
);

INSERT INTO feed (one, placed, settled) VALUES (1, 0, '0');

CREATE TABLE leaves (
    log bigint NOT NULL,
    idx bigint NOT NULL,
    position bigint NOT NULL UNIQUE,
    PRIMARY KEY (log, idx)
);

CREATE TABLE runs (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    app text NOT NULL,
    workflow text NOT NULL,
    title text NOT NULL,
    status text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    requested_by text NOT NULL,
    feature text NOT NULL,
    team text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deadline bigint NOT NULL,
    allotment_micro_usd bigint NOT NULL,
    reserved_micro_usd bigint NOT NULL,
    spent_micro_usd bigint NOT NULL,
    waiting_for text NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 70);

CREATE INDEX runs_by_status ON runs (tenant, status, id);

CREATE INDEX runs_by_deadline ON runs (deadline)
WHERE deadline > 0 AND status NOT IN ('completed', 'failed', 'canceled', 'rolled-back');

-- Work that is queued or leased; a row goes when its task is done, so the table stays as small as the work.
CREATE TABLE tasks (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    run text COLLATE "C" NOT NULL,
    step text NOT NULL,
    call text NOT NULL,
    capability text COLLATE "C" NOT NULL,
    pool text COLLATE "C" NOT NULL,
    priority bigint NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('queued', 'leased')),
    epoch bigint NOT NULL,
    session text COLLATE "C" NOT NULL,
    due_at bigint NOT NULL,
    timeout_at bigint NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE INDEX tasks_ready ON tasks (capability, tenant, priority, due_at, id) WHERE state = 'queued';

CREATE INDEX tasks_due ON tasks (due_at) WHERE state = 'queued';

CREATE INDEX tasks_leased ON tasks (session) WHERE state = 'leased';

CREATE INDEX tasks_timed ON tasks (timeout_at) WHERE timeout_at > 0;

CREATE TABLE sessions (
    id text COLLATE "C" PRIMARY KEY,
    worker text COLLATE "C" NOT NULL UNIQUE,
    expires_at bigint NOT NULL
);

CREATE TABLE approvals (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    run text COLLATE "C" NOT NULL,
    step text NOT NULL,
    call text NOT NULL,
    capability text NOT NULL,
    digest text NOT NULL,
    seq bigint NOT NULL,
    groups text NOT NULL,
    holds text NOT NULL,
    policy_version text NOT NULL,
    requested_by text NOT NULL,
    requested_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    decided_by text NOT NULL,
    decided_at bigint NOT NULL,
    reason text NOT NULL,
    spent_micro_usd bigint NOT NULL,
    evidence text NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX approvals_by_age ON approvals (tenant, requested_at, id);

CREATE INDEX approvals_by_state ON approvals (state, requested_at, id);

CREATE INDEX approvals_by_run ON approvals (tenant, run);

CREATE TABLE postings (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    app text NOT NULL,
    run text COLLATE "C" NOT NULL,
    step text NOT NULL,
    role text NOT NULL,
    call text NOT NULL,
    capability text NOT NULL,
    at bigint NOT NULL,
    cost_micro_usd bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    usage_source text NOT NULL,
    ended text NOT NULL,
    duration_ms bigint NOT NULL,
    first_token_ms bigint NOT NULL,
    tries bigint NOT NULL,
    interruptions bigint NOT NULL,
    feature text NOT NULL,
    team text NOT NULL,
    PRIMARY KEY (tenant, run, id)
);

CREATE TABLE submissions (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    run text NOT NULL,
    PRIMARY KEY (tenant, key)
);

CREATE TABLE halts (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    scope text NOT NULL,
    target text NOT NULL,
    reason text NOT NULL,
    set_by text NOT NULL,
    set_at bigint NOT NULL,
    lifted_by text NOT NULL,
    lifted_at bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX halts_standing ON halts (set_at) WHERE lifted_at = 0;

CREATE TABLE keys (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    groups text NOT NULL,
    mac text NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
