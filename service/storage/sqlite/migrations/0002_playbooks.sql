-- Playbook activations, their audit log, the outbox, the engines that serve the store, growth for the brake, baselines.

-- The present record of each activation; numbers are never used again.
CREATE TABLE activations (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    playbook         TEXT    NOT NULL,
    version          INTEGER NOT NULL,
    content_hash     TEXT    NOT NULL,
    parameters       TEXT    NOT NULL,
    scope            TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    incident         TEXT    NOT NULL,
    requested_by     TEXT    NOT NULL,
    requested_us     INTEGER NOT NULL,
    ttl_seconds      INTEGER NOT NULL,
    approvals_needed INTEGER NOT NULL,
    approved_by      TEXT    NOT NULL,
    is_break_glass   INTEGER NOT NULL,
    is_forced        INTEGER NOT NULL,
    from_us          INTEGER NOT NULL,
    until_us         INTEGER NOT NULL,
    ended_us         INTEGER NOT NULL,
    ended_by         TEXT    NOT NULL
) STRICT;

-- Those that may be in force: few.
CREATE INDEX activations_open ON activations (until_us) WHERE ended_us = 0;

-- Append-only: who did what, in the store's own order. The sequence is the resume token of watchers.
CREATE TABLE activation_changes (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT    NOT NULL UNIQUE,
    fingerprint BLOB    NOT NULL,
    action      TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    caller      TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    changed_us  INTEGER NOT NULL,
    -- The newest decision when the change was made: decisions with greater numbers came after it.
    after_decision INTEGER NOT NULL
) STRICT;

CREATE TRIGGER activation_changes_never_change BEFORE UPDATE ON activation_changes
BEGIN
    SELECT RAISE(ABORT, 'activation changes are append-only');
END;

CREATE TRIGGER activation_changes_never_vanish BEFORE DELETE ON activation_changes
BEGIN
    SELECT RAISE(ABORT, 'activation changes are append-only');
END;

-- Messages to the outside, written with what they tell of; delivered at least once, each with its sequence as id.
CREATE TABLE outbox (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    topic      TEXT    NOT NULL,
    severity   TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_us INTEGER NOT NULL,
    due_us     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    state      INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_due ON outbox (due_us) WHERE state = 0;

-- What each engine is made of, and when it was last seen.
CREATE TABLE engines (
    engine_id       TEXT    NOT NULL PRIMARY KEY,
    build           TEXT    NOT NULL,
    policy_compiler TEXT    NOT NULL,
    playbooks       TEXT    NOT NULL,
    seen_us         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Limits granted, by currency and minute since the epoch, for the brake; an hour of rows is kept.
CREATE TABLE growth (
    currency     TEXT    NOT NULL,
    minute       INTEGER NOT NULL,
    raised_minor INTEGER NOT NULL,
    PRIMARY KEY (currency, minute)
) STRICT, WITHOUT ROWID;

-- What the guards hold the present against; the newest of a product counts.
CREATE TABLE baselines (
    version    INTEGER PRIMARY KEY AUTOINCREMENT,
    product    TEXT    NOT NULL,
    learned_us INTEGER NOT NULL,
    decisions  INTEGER NOT NULL,
    learned_by TEXT    NOT NULL,
    content    TEXT    NOT NULL
) STRICT;
