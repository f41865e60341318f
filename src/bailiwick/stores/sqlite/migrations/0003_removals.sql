-- Blobs of erased payloads that are to be removed: written with the erasure, gone when the blob is.
CREATE TABLE removals (
    tenant TEXT NOT NULL,
    blob TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (tenant, blob)
) STRICT, WITHOUT ROWID;

CREATE INDEX payloads_by_blob ON payloads (blob) WHERE blob IS NOT NULL;
