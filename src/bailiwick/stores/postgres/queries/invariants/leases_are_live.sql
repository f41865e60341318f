-- A leased task has a session that is not over for longer than recovery takes.
-- over: tasks    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT t.tenant, t.id, 'its session ' || t.session || ' ended'
FROM tasks AS t
JOIN runs AS r ON r.tenant = t.tenant AND r.id = t.run
LEFT JOIN sessions AS s ON s.id = t.session
WHERE t.state = 'leased'
    AND coalesce(s.expires_at, 0) < now_us() - 30000000
    AND r.updated_at < now_us() - 30000000;
