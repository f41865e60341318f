-- Record that another key has taken a key's place.
-- in: value, name    out: nothing
-- locks: the row
UPDATE fingerprints SET value = :value WHERE name = :name;
