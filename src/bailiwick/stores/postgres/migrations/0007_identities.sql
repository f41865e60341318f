-- Tenants, identities and their keys. Each key of before becomes an identity of its own, however it was named: the
-- identity's id is the key's with another prefix. A name that fits stays, for the key that is in force or the oldest.
CREATE TABLE tenants (
    id text COLLATE "C" PRIMARY KEY,
    created_at bigint NOT NULL,
    created_by text NOT NULL,
    disabled_at bigint NOT NULL,
    edition bigint NOT NULL
);

INSERT INTO tenants (id, created_at, created_by, disabled_at, edition)
SELECT tenant, min(at), '', 0, 0
FROM (SELECT tenant, created_at AS at FROM keys UNION ALL SELECT tenant, created_at AS at FROM runs) AS known
GROUP BY tenant;

CREATE TABLE identities (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    role text NOT NULL,
    groups text NOT NULL,
    created_at bigint NOT NULL,
    created_by text NOT NULL,
    disabled_at bigint NOT NULL,
    formerly text NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
);

INSERT INTO identities (id, tenant, name, kind, role, groups, created_at, created_by, disabled_at, formerly)
SELECT
    'idn_' || substr(id, 5), tenant,
    CASE
        WHEN turn = 1 AND name COLLATE "C" ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'
            AND lower(name COLLATE "C") NOT LIKE 'key-%' THEN lower(name COLLATE "C")
        ELSE 'key-' || lower(substr(id, 5))
    END,
    'person', role, groups, created_at, '', revoked_at, name
FROM (
    SELECT *, row_number() OVER (PARTITION BY tenant, lower(name COLLATE "C") ORDER BY revoked_at > 0, created_at, id) AS turn
    FROM keys
) AS known;

ALTER TABLE keys ADD COLUMN identity text NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN created_by text NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN expires_at bigint NOT NULL DEFAULT 0;
UPDATE keys SET identity = 'idn_' || substr(id, 5);
ALTER TABLE keys DROP COLUMN name;
ALTER TABLE keys DROP COLUMN role;
ALTER TABLE keys DROP COLUMN groups;

-- Who changed what of an identity: made it, gave it a role or groups, minted a key (`key`) for it.
CREATE TABLE identity_changes (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    identity text COLLATE "C" NOT NULL,
    key text NOT NULL,
    what text NOT NULL,
    detail text NOT NULL,
    at bigint NOT NULL,
    by_identity text NOT NULL,
    by_key text NOT NULL,
    PRIMARY KEY (tenant, identity, at, id)
);

-- Of whom a request is, who answered with which key, and who had made that person able to: identities, not names.
ALTER TABLE approvals ADD COLUMN requester text NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN decider text NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN decider_key text NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN able text NOT NULL DEFAULT '[]';
