-- Appeals, the changes that keys stand for, and what customers said.

-- The present record of each case; `news` is msgpack (rows.py).
CREATE TABLE cases (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id      TEXT    NOT NULL,
    decision        INTEGER NOT NULL UNIQUE,
    state           INTEGER NOT NULL,
    statement       TEXT    NOT NULL,
    news            BLOB    NOT NULL,
    submitted_by    TEXT    NOT NULL,
    submitted_us    INTEGER NOT NULL,
    due_us          INTEGER NOT NULL,
    suggested_minor INTEGER NOT NULL,
    proposed_minor  INTEGER NOT NULL,
    proposed_by     TEXT    NOT NULL,
    resolved_by     TEXT    NOT NULL,
    resolved_us     INTEGER NOT NULL,
    note            TEXT    NOT NULL,
    result          INTEGER NOT NULL
) STRICT;

CREATE INDEX cases_of_account ON cases (account_id, number);

CREATE TABLE case_changes (
    key         TEXT    NOT NULL PRIMARY KEY,
    fingerprint BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    action      TEXT    NOT NULL,
    caller      TEXT    NOT NULL,
    changed_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Feedback, surveys and appeals as they were said; never changed.
CREATE TABLE voices (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    key            TEXT    NOT NULL UNIQUE,
    fingerprint    BLOB    NOT NULL,
    kind           INTEGER NOT NULL,
    account_id     TEXT    NOT NULL,
    decision       INTEGER NOT NULL,
    product        TEXT    NOT NULL,
    policy_version TEXT    NOT NULL,
    reasons        TEXT    NOT NULL,
    category       INTEGER NOT NULL,
    score          INTEGER NOT NULL,
    text           TEXT    NOT NULL,
    said_us        INTEGER NOT NULL
) STRICT;

CREATE INDEX voices_said ON voices (said_us);
