-- Take a block of numbers for new streams and logs; nobody else is given any of them.
-- in: nothing    out: the block's first number; its length is the sequence's step
-- locks: nothing
SELECT nextval('numbers');
