-- Store the head of a log whose leaves were given their indices anew.
-- in: size, frontier, note, through, id    out: nothing
-- locks: the log's row
UPDATE logs SET size = :size, frontier = :frontier, note = :note, through = :through WHERE id = :id;
