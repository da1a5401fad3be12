-- Draws: open holds on the account, postings as a log of their own, holds by account.

-- `holds` is msgpack (rows.py), empty where nothing is held; the postings have a hash chain of their own.
ALTER TABLE accounts ADD COLUMN holds BLOB NOT NULL DEFAULT x'';
ALTER TABLE accounts ADD COLUMN last_posting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN postings_chain BLOB NOT NULL DEFAULT x'';

-- Append-only; numbers are in one row with decisions'. `previous` links an account's postings, newest first.
CREATE TABLE postings (
    number            INTEGER PRIMARY KEY,
    previous          INTEGER NOT NULL,
    account_id        TEXT    NOT NULL,
    kind              INTEGER NOT NULL,
    outcome           INTEGER NOT NULL,
    amount_minor      INTEGER NOT NULL,
    -- The hold after it, msgpack; empty where there is none.
    hold              BLOB    NOT NULL,
    limit_minor       INTEGER NOT NULL,
    held_minor        INTEGER NOT NULL,
    outstanding_minor INTEGER NOT NULL,
    reasons           TEXT    NOT NULL,
    policy_version    TEXT    NOT NULL,
    mode_id           TEXT    NOT NULL,
    caller            TEXT    NOT NULL,
    request_id        TEXT    NOT NULL,
    fingerprint       BLOB    NOT NULL,
    trace_id          TEXT    NOT NULL,
    posted_us         INTEGER NOT NULL,
    chain             BLOB    NOT NULL
) STRICT;

CREATE TRIGGER postings_never_change BEFORE UPDATE ON postings
BEGIN
    SELECT RAISE(ABORT, 'postings are append-only');
END;

CREATE TRIGGER postings_never_vanish BEFORE DELETE ON postings
BEGIN
    SELECT RAISE(ABORT, 'postings are append-only');
END;

-- The present record of each hold; its number is that of the posting that authorised it.
CREATE TABLE holds (
    account_id       TEXT    NOT NULL,
    number           INTEGER NOT NULL,
    state            INTEGER NOT NULL,
    authorised_minor INTEGER NOT NULL CHECK (authorised_minor > 0),
    captured_minor   INTEGER NOT NULL CHECK (captured_minor BETWEEN 0 AND authorised_minor),
    authorised_us    INTEGER NOT NULL,
    expires_us       INTEGER NOT NULL,
    PRIMARY KEY (account_id, number)
) STRICT, WITHOUT ROWID;
