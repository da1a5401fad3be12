-- What each table holds, as sums that the writer keeps: what is changed beside it leaves them as they were.

-- `total` is the sum of the rows' hashes modulo 2^128 (storage/seals.py), so that the order of writes does not matter.
CREATE TABLE IF NOT EXISTS seals (
    name  TEXT    NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL,
    total BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
