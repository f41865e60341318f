-- Tell what became of a transaction.
-- in: xid    out: committed, aborted or in progress; NULL when it is too old to be known
-- locks: nothing
SELECT pg_xact_status(:xid::text::xid8);
