-- Confirmed time as it was last kept, and the words of people on the machine's clock.

-- One row. `boot` and `elapsed_us` say on which start of the machine it was kept and how long after it, so that the time
-- since then is known; jumps is JSON, pairs of where one ended and by how much.
CREATE TABLE clock (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    time_us     INTEGER NOT NULL,
    elapsed_us  INTEGER NOT NULL,
    boot        TEXT    NOT NULL,
    owed_us     INTEGER NOT NULL CHECK (owed_us >= 0),
    rest        INTEGER NOT NULL CHECK (rest >= 0),
    ahead_us    INTEGER NOT NULL,
    since_us    INTEGER NOT NULL,
    is_rebooted INTEGER NOT NULL,
    jumps       TEXT    NOT NULL,
    -- BLAKE2b-128 over the rest: a time that was damaged would forget keys or stop the clock.
    seal        BLOB    NOT NULL
) STRICT;

-- "caller/request_id" to what was confirmed; the audit log of the clock, never purged.
CREATE TABLE clock_changes (
    key         TEXT    NOT NULL PRIMARY KEY,
    fingerprint BLOB    NOT NULL,
    caller      TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    ahead_us    INTEGER NOT NULL,
    changed_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
