-- Erase a payload: salt and body go together, so that its commitment says nothing any more; a row less changed than
-- given means that there is none.
-- in: tenant, name, seq (an array of each)    out: nothing
-- locks: the payloads' rows
DELETE FROM payloads AS t
USING unnest(:tenant::text[], :name::text[], :seq::bigint[]) AS given (tenant, name, seq), streams AS s
WHERE s.tenant = given.tenant AND s.name = given.name AND t.stream = s.id AND t.seq = given.seq;
