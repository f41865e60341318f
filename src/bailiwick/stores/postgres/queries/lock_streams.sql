-- Hold streams that carry no expected version, so that one transaction at a time continues each.
-- in: tenant, name (an array of each)    out: tenant, name
-- locks: the streams' rows, in their order, until the transaction ends
SELECT s.tenant, s.name
FROM streams AS s
JOIN unnest(:tenant::text[], :name::text[]) AS given (tenant, name) ON s.tenant = given.tenant AND s.name = given.name
ORDER BY s.tenant, s.name
FOR UPDATE OF s;
