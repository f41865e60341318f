-- Take the indices from all leaves of a log: what follows gives them anew.
-- in: log (id)    out: nothing
-- locks: the rows
DELETE FROM leaves WHERE log = :log;
