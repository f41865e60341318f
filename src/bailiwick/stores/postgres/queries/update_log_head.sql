-- Store the head that covers the leaves.
-- in: size, frontier, note, through, id    out: nothing
-- locks: the log's row
UPDATE logs SET size = :size, frontier = :frontier, note = :note, through = greatest(through, :through) WHERE id = :id;
