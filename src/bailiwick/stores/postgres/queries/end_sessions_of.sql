-- End the sessions of named workers.
-- in: workers (JSON array)    out: nothing
-- locks: these sessions
DELETE FROM sessions WHERE worker IN (SELECT value FROM json_array_elements_text(:workers::json));
