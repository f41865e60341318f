-- Fingerprints of the deployment's keys, so that a missing or a wrong one is noticed before it is used.
CREATE TABLE fingerprints (
    name text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    PRIMARY KEY (name)
);
