-- Blobs of erased payloads that are to be removed: written with the erasure, gone when the blob is.
CREATE TABLE removals (
    tenant text COLLATE "C" NOT NULL,
    blob text COLLATE "C" NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (tenant, blob)
);

CREATE INDEX payloads_by_blob ON payloads (blob) WHERE blob IS NOT NULL;
