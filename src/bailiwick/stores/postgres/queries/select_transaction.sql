-- Name the transaction that this is, so that it can be asked for after a lost connection.
-- in: nothing    out: xid
-- locks: nothing
SELECT pg_current_xact_id()::text;
