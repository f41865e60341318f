-- Fingerprints of the deployment's keys, so that a missing or a wrong one is noticed before it is used.
CREATE TABLE fingerprints (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
