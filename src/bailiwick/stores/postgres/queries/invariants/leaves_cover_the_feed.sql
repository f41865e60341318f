-- Every event up to where a log was integrated has its leaf, and none that is not placed.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT l.name, s.name || '.' || f.seq, CASE WHEN v.idx IS NULL THEN 'it has no leaf' ELSE 'it has a leaf and is not placed' END
FROM places AS f
JOIN logs AS l ON l.id = f.log
JOIN streams AS s ON s.id = f.stream
LEFT JOIN leaves AS v ON v.log = f.log AND v.position = f.position
WHERE (v.idx IS NULL AND f.position <= l.through) OR (v.idx IS NOT NULL AND f.position > (SELECT placed FROM feed));
