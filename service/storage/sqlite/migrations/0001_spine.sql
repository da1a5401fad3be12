-- Accounts, decisions, idempotency keys, policies.

-- One row an account; profile and growth are msgpack (rows.py), chain is the head of the account's hash chain.
CREATE TABLE accounts (
    account_id        TEXT    NOT NULL PRIMARY KEY,
    product           TEXT    NOT NULL,
    currency          TEXT    NOT NULL,
    status            INTEGER NOT NULL,
    limit_minor       INTEGER NOT NULL CHECK (limit_minor >= 0),
    held_minor        INTEGER NOT NULL CHECK (held_minor >= 0),
    outstanding_minor INTEGER NOT NULL CHECK (outstanding_minor >= 0),
    version           INTEGER NOT NULL,
    profile           BLOB    NOT NULL,
    growth            BLOB    NOT NULL,
    last_decision     INTEGER NOT NULL,
    chain             BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- Append-only. `previous` links an account's decisions, newest first, so no index grows beside the log.
CREATE TABLE decisions (
    number            INTEGER PRIMARY KEY,
    previous          INTEGER NOT NULL,
    account_id        TEXT    NOT NULL,
    account_version   INTEGER NOT NULL,
    kind              INTEGER NOT NULL,
    outcome           INTEGER NOT NULL,
    status            INTEGER NOT NULL,
    old_limit_minor   INTEGER NOT NULL,
    new_limit_minor   INTEGER NOT NULL,
    held_minor        INTEGER NOT NULL,
    outstanding_minor INTEGER NOT NULL,
    profile           BLOB    NOT NULL,
    growth            BLOB    NOT NULL,
    points            BLOB    NOT NULL,
    reasons           TEXT    NOT NULL,
    policy_version    TEXT    NOT NULL,
    mode_id           TEXT    NOT NULL,
    activations       TEXT    NOT NULL,
    caller            TEXT    NOT NULL,
    request_id        TEXT    NOT NULL,
    fingerprint       BLOB    NOT NULL,
    trace_id          TEXT    NOT NULL,
    decided_us        INTEGER NOT NULL,
    business_day      INTEGER NOT NULL,
    notice_day        INTEGER NOT NULL,
    chain             BLOB    NOT NULL
) STRICT;

CREATE TRIGGER decisions_never_change BEFORE UPDATE ON decisions
BEGIN
    SELECT RAISE(ABORT, 'decisions are append-only');
END;

CREATE TRIGGER decisions_never_vanish BEFORE DELETE ON decisions
BEGIN
    SELECT RAISE(ABORT, 'decisions are append-only');
END;

-- "caller/request_id" to its decision; purged after the retention, the decision outlives it.
CREATE TABLE idempotency_keys (
    key    TEXT    NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
    sequence     INTEGER PRIMARY KEY,
    version      TEXT    NOT NULL UNIQUE,
    product      TEXT    NOT NULL,
    currency     TEXT    NOT NULL,
    content_hash TEXT    NOT NULL,
    document     TEXT    NOT NULL,
    state        INTEGER NOT NULL,
    published_by TEXT    NOT NULL,
    published_us INTEGER NOT NULL,
    activated_us INTEGER NOT NULL
) STRICT;

-- Two versions can't decide for one product.
CREATE UNIQUE INDEX policies_one_active ON policies (product) WHERE state = 4;

CREATE TABLE policy_changes (
    sequence         INTEGER PRIMARY KEY,
    key              TEXT    NOT NULL UNIQUE,
    fingerprint      BLOB    NOT NULL,
    action           TEXT    NOT NULL,
    version          TEXT    NOT NULL,
    product          TEXT    NOT NULL,
    previous_version TEXT    NOT NULL,
    caller           TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    changed_us       INTEGER NOT NULL
) STRICT;

-- One row: read first in every batch.
CREATE TABLE control (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL,
    purged     INTEGER NOT NULL
) STRICT;

INSERT INTO control VALUES (1, 0, 0);
