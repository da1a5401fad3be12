-- Records in a blob each (storage/rows.py), of which columns tell what statements read. What was written before stands
-- in tables of its own until each account was moved, in slices (storage/sqlite/moving.py); empty ones are dropped.

ALTER TABLE accounts RENAME TO accounts_before;
ALTER TABLE decisions RENAME TO decisions_before;
ALTER TABLE postings RENAME TO postings_before;
UPDATE seals SET name = 'accounts_before' WHERE name = 'accounts';
INSERT INTO seals (name, count, total) VALUES ('accounts', 0, zeroblob(16));
DROP TRIGGER decisions_never_change;
DROP TRIGGER decisions_never_vanish;
DROP TRIGGER postings_never_change;
DROP TRIGGER postings_never_vanish;

-- `facts` is the profile, NULL where it was erased; `behaviour` what events left, empty before the first; `chain` and
-- `postings_chain` are the heads of the account's hash chains.
CREATE TABLE accounts (
    account_id     TEXT    NOT NULL PRIMARY KEY,
    product        TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    status         INTEGER NOT NULL,
    record         BLOB    NOT NULL,
    facts          BLOB,
    behaviour      BLOB    NOT NULL,
    chain          BLOB    NOT NULL,
    postings_chain BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- Append-only. The record links an account's decisions, newest first, so no index grows beside the log.
CREATE TABLE decisions (
    number     INTEGER PRIMARY KEY,
    account_id TEXT    NOT NULL,
    record     BLOB    NOT NULL,
    facts      BLOB,
    chain      BLOB    NOT NULL
) STRICT;

-- Append-only; numbers are in one row with decisions'.
CREATE TABLE postings (
    number     INTEGER PRIMARY KEY,
    account_id TEXT    NOT NULL,
    record     BLOB    NOT NULL,
    chain      BLOB    NOT NULL
) STRICT;

-- Facts can be erased, nothing else changes.
CREATE TRIGGER decisions_never_change BEFORE UPDATE ON decisions
WHEN NEW.facts IS NOT NULL OR NEW.number IS NOT OLD.number OR NEW.account_id IS NOT OLD.account_id
    OR NEW.record IS NOT OLD.record OR NEW.chain IS NOT OLD.chain
BEGIN
    SELECT RAISE(ABORT, 'decisions are append-only');
END;

CREATE TRIGGER decisions_never_vanish BEFORE DELETE ON decisions
BEGIN
    SELECT RAISE(ABORT, 'decisions are append-only');
END;

CREATE TRIGGER postings_never_change BEFORE UPDATE ON postings
BEGIN
    SELECT RAISE(ABORT, 'postings are append-only');
END;

CREATE TRIGGER postings_never_vanish BEFORE DELETE ON postings
BEGIN
    SELECT RAISE(ABORT, 'postings are append-only');
END;

CREATE TRIGGER decisions_before_never_change BEFORE UPDATE ON decisions_before
BEGIN
    SELECT RAISE(ABORT, 'decisions are append-only');
END;

CREATE TRIGGER postings_before_never_change BEFORE UPDATE ON postings_before
BEGIN
    SELECT RAISE(ABORT, 'postings are append-only');
END;
