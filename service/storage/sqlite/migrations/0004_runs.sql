-- The promise ledger, the daily run with its shards, the portfolio's budget, closings and incidents.

-- One row a promise, settled by the decision that it names.
CREATE TABLE entitlements (
    account_id     TEXT    NOT NULL,
    business_day   INTEGER NOT NULL,
    state          INTEGER NOT NULL,
    reason         TEXT    NOT NULL,
    promised_minor INTEGER NOT NULL,
    granted_minor  INTEGER NOT NULL,
    policy_version TEXT    NOT NULL,
    segment        TEXT    NOT NULL,
    decision       INTEGER NOT NULL,
    waiting_since  INTEGER NOT NULL,
    PRIMARY KEY (account_id, business_day)
) STRICT, WITHOUT ROWID;

-- Who waits for the portfolio's budget, by day and turn.
CREATE INDEX entitlements_waiting ON entitlements (business_day, waiting_since, decision) WHERE waiting_since > 0;

-- One row a business date; the cursor says up to which account id shards were cut.
CREATE TABLE runs (
    business_day INTEGER PRIMARY KEY,
    state        INTEGER NOT NULL,
    started_by   TEXT    NOT NULL,
    started_us   INTEGER NOT NULL,
    ended_us     INTEGER NOT NULL,
    accounts     INTEGER NOT NULL,
    cursor       TEXT    NOT NULL,
    is_cut       INTEGER NOT NULL
) STRICT;

-- A range of account ids, (after, upto]; progress commits with the decisions that it stands for.
CREATE TABLE run_shards (
    business_day INTEGER NOT NULL,
    shard        INTEGER NOT NULL,
    after_id     TEXT    NOT NULL,
    upto_id      TEXT    NOT NULL,
    done_id      TEXT    NOT NULL,
    holder       TEXT    NOT NULL,
    lease_us     INTEGER NOT NULL,
    looked       INTEGER NOT NULL,
    granted      INTEGER NOT NULL,
    withheld     INTEGER NOT NULL,
    done_us      INTEGER NOT NULL,
    PRIMARY KEY (business_day, shard)
) STRICT, WITHOUT ROWID;

-- What engines have taken out of a day's budget, and what they raised of it; never more than they took.
CREATE TABLE budget_slices (
    product      TEXT    NOT NULL,
    business_day INTEGER NOT NULL,
    holder       TEXT    NOT NULL,
    taken_minor  INTEGER NOT NULL,
    raised_minor INTEGER NOT NULL CHECK (raised_minor BETWEEN 0 AND taken_minor),
    PRIMARY KEY (product, business_day, holder)
) STRICT, WITHOUT ROWID;

-- How a day was closed; lines and progress are JSON.
CREATE TABLE closings (
    business_day INTEGER PRIMARY KEY,
    state        INTEGER NOT NULL,
    asked_by     TEXT    NOT NULL,
    asked_us     INTEGER NOT NULL,
    ended_us     INTEGER NOT NULL,
    done_id      TEXT    NOT NULL,
    holder       TEXT    NOT NULL,
    lease_us     INTEGER NOT NULL,
    accounts     INTEGER NOT NULL,
    lines        TEXT    NOT NULL,
    incident     TEXT    NOT NULL
) STRICT;

-- Accounts for which a day does not add up, and what became of them.
CREATE TABLE discrepancies (
    business_day INTEGER NOT NULL,
    account_id   TEXT    NOT NULL,
    kind         INTEGER NOT NULL,
    detail       TEXT    NOT NULL,
    decision     INTEGER NOT NULL,
    PRIMARY KEY (business_day, account_id, kind)
) STRICT, WITHOUT ROWID;

-- What the policy promised for the day, before caps, budget and playbooks; 0 where nothing.
ALTER TABLE decisions ADD COLUMN promised_minor INTEGER NOT NULL DEFAULT 0;
