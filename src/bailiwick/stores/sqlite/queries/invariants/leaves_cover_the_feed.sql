-- Every event up to where a log was integrated has its leaf, and none that is not placed.
-- over: events    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT l.name, s.name || '.' || e.seq, iif(v.idx IS NULL, 'it has no leaf', 'it has a leaf and is not placed')
FROM events AS e
JOIN logs AS l ON l.id = e.log
JOIN streams AS s ON s.id = e.stream
LEFT JOIN leaves AS v ON v.log = e.log AND v.pos = e.pos
WHERE (v.idx IS NULL AND e.pos <= l.through) OR (v.idx IS NOT NULL AND e.pos > (SELECT placed FROM feed));
