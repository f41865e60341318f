-- Tenants, identities and their keys. Each key of before becomes an identity of its own, however it was named: the
-- identity's id is the key's with another prefix. A name that fits stays, for the key that is in force or the oldest.
CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    disabled_at INTEGER NOT NULL,
    edition INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO tenants (id, created_at, created_by, disabled_at, edition)
SELECT tenant, min(at), '', 0, 0
FROM (SELECT tenant, created_at AS at FROM keys UNION ALL SELECT tenant, created_at AS at FROM runs)
GROUP BY tenant;

CREATE TABLE identities (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    role TEXT NOT NULL,
    groups TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    disabled_at INTEGER NOT NULL,
    formerly TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
) STRICT, WITHOUT ROWID;

INSERT INTO identities (id, tenant, name, kind, role, groups, created_at, created_by, disabled_at, formerly)
SELECT
    'idn_' || substr(id, 5), tenant,
    CASE
        WHEN turn = 1 AND length(name) <= 64 AND name GLOB '[A-Za-z0-9]*' AND name NOT GLOB '*[^A-Za-z0-9._-]*'
            AND lower(name) NOT GLOB 'key-*' THEN lower(name)
        ELSE 'key-' || lower(substr(id, 5))
    END,
    'person', role, groups, created_at, '', revoked_at, name
FROM (
    SELECT *, row_number() OVER (PARTITION BY tenant, lower(name) ORDER BY revoked_at > 0, created_at, id) AS turn
    FROM keys
);

ALTER TABLE keys ADD COLUMN identity TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
UPDATE keys SET identity = 'idn_' || substr(id, 5);
ALTER TABLE keys DROP COLUMN name;
ALTER TABLE keys DROP COLUMN role;
ALTER TABLE keys DROP COLUMN groups;

-- Who changed what of an identity: made it, gave it a role or groups, minted a key (`key`) for it.
CREATE TABLE identity_changes (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    identity TEXT NOT NULL,
    key TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL,
    at INTEGER NOT NULL,
    by_identity TEXT NOT NULL,
    by_key TEXT NOT NULL,
    PRIMARY KEY (tenant, identity, at, id)
) STRICT, WITHOUT ROWID;

-- Of whom a request is, who answered with which key, and who had made that person able to: identities, not names.
ALTER TABLE approvals ADD COLUMN requester TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN decider TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN decider_key TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN able TEXT NOT NULL DEFAULT '[]';
