-- What stands in the form of before (storage/rows_before.py), and what both forms hold together; goes when no store has
-- that form any more.

-- name: before_is_left
-- Find whether anything stands in the form of before.
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'accounts_before';

-- name: before_has_rows
-- Find whether any row stands in the form of before.
SELECT EXISTS (SELECT 1 FROM accounts_before) OR EXISTS (SELECT 1 FROM decisions_before)
    OR EXISTS (SELECT 1 FROM postings_before) AS has_rows;

-- name: before_accounts
-- Find accounts by id. Primary key.
SELECT accounts.account_id, accounts.product, accounts.currency, accounts.status, accounts.limit_minor,
    accounts.held_minor, accounts.outstanding_minor, accounts.version, accounts.profile, accounts.growth,
    accounts.last_decision, accounts.chain, accounts.holds, accounts.last_posting, accounts.postings_chain,
    accounts.behaviour, accounts.temporary, accounts.limit_since_day
FROM carray(?) AS wanted CROSS JOIN accounts_before AS accounts ON accounts.account_id = wanted.value;

-- name: before_accounts_all
-- Read every account in the order of its id. Primary key.
SELECT account_id, product, currency, status, limit_minor, held_minor, outstanding_minor, version, profile,
    growth, last_decision, chain, holds, last_posting, postings_chain, behaviour, temporary, limit_since_day
FROM accounts_before ORDER BY account_id;

-- name: before_accounts_after
-- Read accounts in order within a range of ids. Primary key.
SELECT account_id, product, currency, status, limit_minor, held_minor, outstanding_minor, version, profile,
    growth, last_decision, chain, holds, last_posting, postings_chain, behaviour, temporary, limit_since_day
FROM accounts_before WHERE account_id > ? AND account_id <= ? ORDER BY account_id LIMIT ?;

-- name: before_accounts_next
-- Read the next accounts to move. Primary key.
SELECT account_id, product, currency, status, limit_minor, held_minor, outstanding_minor, version, profile,
    growth, last_decision, chain, holds, last_posting, postings_chain, behaviour, temporary, limit_since_day
FROM accounts_before WHERE account_id > ? ORDER BY account_id LIMIT ?;

-- name: before_update_account
-- Replace what a decision or posting changes of an account. Primary key.
-- The whole row is bound, in the order of its columns.
UPDATE accounts_before
SET status = ?4, limit_minor = ?5, held_minor = ?6, outstanding_minor = ?7, version = ?8, profile = ?9, growth =
    ?10, last_decision = ?11, chain = ?12, holds = ?13, last_posting = ?14, postings_chain = ?15, behaviour = ?16,
    temporary = ?17, limit_since_day = ?18
WHERE account_id = ?1;

-- name: before_update_behaviour
-- Replace what events left of an account. Primary key.
UPDATE accounts_before SET behaviour = ? WHERE account_id = ?;

-- name: before_decision
-- Find one decision with its account's constant parts. Primary keys.
SELECT accounts.product, accounts.currency, decisions.number, decisions.previous, decisions.account_id,
    decisions.account_version, decisions.kind, decisions.outcome, decisions.status, decisions.old_limit_minor,
    decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor, decisions.profile, decisions.growth,
    decisions.points, decisions.reasons, decisions.policy_version, decisions.mode_id, decisions.activations,
    decisions.caller, decisions.request_id, decisions.fingerprint, decisions.trace_id, decisions.decided_us,
    decisions.business_day, decisions.notice_day, decisions.promised_minor, decisions.temporary, decisions.rules,
    decisions.chain
FROM decisions_before AS decisions
JOIN accounts_before AS accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number = ?;

-- name: before_decisions_all
-- Read every decision in order. Primary key.
SELECT accounts.product, accounts.currency, decisions.number, decisions.previous, decisions.account_id,
    decisions.account_version, decisions.kind, decisions.outcome, decisions.status, decisions.old_limit_minor,
    decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor, decisions.profile, decisions.growth,
    decisions.points, decisions.reasons, decisions.policy_version, decisions.mode_id, decisions.activations,
    decisions.caller, decisions.request_id, decisions.fingerprint, decisions.trace_id, decisions.decided_us,
    decisions.business_day, decisions.notice_day, decisions.promised_minor, decisions.temporary, decisions.rules,
    decisions.chain
FROM decisions_before AS decisions
CROSS JOIN accounts_before AS accounts ON accounts.account_id = decisions.account_id
ORDER BY decisions.number;

-- name: before_decisions_after
-- Read decisions from after a number, oldest first. Primary key.
SELECT accounts.product, accounts.currency, decisions.number, decisions.previous, decisions.account_id,
    decisions.account_version, decisions.kind, decisions.outcome, decisions.status, decisions.old_limit_minor,
    decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor, decisions.profile, decisions.growth,
    decisions.points, decisions.reasons, decisions.policy_version, decisions.mode_id, decisions.activations,
    decisions.caller, decisions.request_id, decisions.fingerprint, decisions.trace_id, decisions.decided_us,
    decisions.business_day, decisions.notice_day, decisions.promised_minor, decisions.temporary, decisions.rules,
    decisions.chain
FROM decisions_before AS decisions
CROSS JOIN accounts_before AS accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number > ? ORDER BY decisions.number LIMIT ?;

-- name: before_decisions_before
-- Read decisions from before a number, newest first. Primary key.
SELECT accounts.product, accounts.currency, decisions.number, decisions.previous, decisions.account_id,
    decisions.account_version, decisions.kind, decisions.outcome, decisions.status, decisions.old_limit_minor,
    decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor, decisions.profile, decisions.growth,
    decisions.points, decisions.reasons, decisions.policy_version, decisions.mode_id, decisions.activations,
    decisions.caller, decisions.request_id, decisions.fingerprint, decisions.trace_id, decisions.decided_us,
    decisions.business_day, decisions.notice_day, decisions.promised_minor, decisions.temporary, decisions.rules,
    decisions.chain
FROM decisions_before AS decisions
CROSS JOIN accounts_before AS accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number < ? ORDER BY decisions.number DESC LIMIT ?;

-- name: before_decisions_wanted
-- Read decisions by number. Primary keys.
SELECT accounts.product, accounts.currency, decisions.number, decisions.previous, decisions.account_id,
    decisions.account_version, decisions.kind, decisions.outcome, decisions.status, decisions.old_limit_minor,
    decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor, decisions.profile, decisions.growth,
    decisions.points, decisions.reasons, decisions.policy_version, decisions.mode_id, decisions.activations,
    decisions.caller, decisions.request_id, decisions.fingerprint, decisions.trace_id, decisions.decided_us,
    decisions.business_day, decisions.notice_day, decisions.promised_minor, decisions.temporary, decisions.rules,
    decisions.chain
FROM carray(?) AS wanted CROSS JOIN decisions_before AS decisions ON decisions.number = wanted.value
CROSS JOIN accounts_before AS accounts ON accounts.account_id = decisions.account_id;

-- name: before_insert_decision
-- Append to the log.
INSERT INTO decisions_before (number, previous, account_id, account_version, kind, outcome, status,
    old_limit_minor, new_limit_minor, held_minor, outstanding_minor, profile, growth, points, reasons, policy_version,
    mode_id, activations, caller, request_id, fingerprint, trace_id, decided_us, business_day, notice_day,
    promised_minor, temporary, rules, chain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: before_posting
-- Find one posting with its account's constant parts. Primary keys.
SELECT accounts.product, accounts.currency, postings.number, postings.previous, postings.account_id,
    postings.kind, postings.outcome, postings.amount_minor, postings.hold, postings.limit_minor, postings.held_minor,
    postings.outstanding_minor, postings.reasons, postings.policy_version, postings.mode_id, postings.caller,
    postings.request_id, postings.fingerprint, postings.trace_id, postings.posted_us, postings.reference,
    postings.extra_minor, postings.chain
FROM postings_before AS postings
JOIN accounts_before AS accounts ON accounts.account_id = postings.account_id
WHERE postings.number = ?;

-- name: before_postings_wanted
-- Read postings by number. Primary keys.
SELECT accounts.product, accounts.currency, postings.number, postings.previous, postings.account_id,
    postings.kind, postings.outcome, postings.amount_minor, postings.hold, postings.limit_minor, postings.held_minor,
    postings.outstanding_minor, postings.reasons, postings.policy_version, postings.mode_id, postings.caller,
    postings.request_id, postings.fingerprint, postings.trace_id, postings.posted_us, postings.reference,
    postings.extra_minor, postings.chain
FROM carray(?) AS wanted CROSS JOIN postings_before AS postings ON postings.number = wanted.value
CROSS JOIN accounts_before AS accounts ON accounts.account_id = postings.account_id;

-- name: before_insert_posting
-- Append to the postings.
INSERT INTO postings_before (number, previous, account_id, kind, outcome, amount_minor, hold, limit_minor,
    held_minor, outstanding_minor, reasons, policy_version, mode_id, caller, request_id, fingerprint, trace_id,
    posted_us, reference, extra_minor, chain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: before_delete_account
-- Forget an account that was moved. Primary key.
DELETE FROM accounts_before WHERE account_id = ?;

-- name: before_delete_decision
-- Forget a decision that was moved. Primary key.
DELETE FROM decisions_before WHERE number = ?;

-- name: before_delete_posting
-- Forget a posting that was moved. Primary key.
DELETE FROM postings_before WHERE number = ?;

-- name: before_decision_count
-- Count the log.
SELECT count(*) FROM decisions_before;

-- name: before_posting_count
-- Count the postings.
SELECT count(*) FROM postings_before;

-- name: before_keys_expired
-- Find the next keys to purge, by walking both logs from the mark. Primary keys.
SELECT number, caller || '/' || request_id AS key FROM decisions_before
WHERE number > (SELECT purged FROM control WHERE one = 1) AND number < ?1
UNION ALL
SELECT number, caller || '/' || request_id AS key FROM postings_before
WHERE number > (SELECT purged FROM control WHERE one = 1) AND number < ?1
ORDER BY number LIMIT ?2;

-- name: control_of_both
-- Read what every batch reads first, of both forms. Primary keys; max(number) is the right edge of a table.
SELECT generation, max(
    (SELECT coalesce(max(number), 0) FROM decisions), (SELECT coalesce(max(number), 0) FROM postings),
    (SELECT coalesce(max(number), 0) FROM decisions_before), (SELECT coalesce(max(number), 0) FROM postings_before)
)
FROM control WHERE one = 1;

-- name: account_count_of_both
-- Count the accounts of both forms.
SELECT (SELECT count(*) FROM accounts) + (SELECT count(*) FROM accounts_before);

-- name: shard_end_of_both
-- Give the id at which a shard of so many accounts ends. Primary keys, one shard long.
SELECT account_id FROM accounts WHERE account_id > ?1
UNION ALL
SELECT account_id FROM accounts_before WHERE account_id > ?1
ORDER BY account_id LIMIT 1 OFFSET ?2;

-- name: keys_of_both
-- Read the keys of decisions and postings, each with what its record says, whichever form it has. Primary keys.
SELECT keys.key, decisions.record AS decision, postings.record AS posting, coalesce(
    decisions_before.caller || '/' || decisions_before.request_id,
    postings_before.caller || '/' || postings_before.request_id, ''
) AS key_before
FROM idempotency_keys AS keys
LEFT JOIN decisions ON decisions.number = keys.number
LEFT JOIN postings ON postings.number = keys.number
LEFT JOIN decisions_before ON decisions_before.number = keys.number
LEFT JOIN postings_before ON postings_before.number = keys.number
WHERE keys.number >= 0;

-- name: before_entitlements_founded
-- Count promises whose decision stands in the form of before, is its own, and promised something. Primary keys.
SELECT count(*) FROM entitlements
JOIN decisions_before AS decisions ON decisions.number = entitlements.decision
WHERE decisions.account_id = entitlements.account_id AND decisions.business_day = entitlements.business_day
    AND decisions.promised_minor <> 0;

-- name: insert_activation_change_of_both
-- Record a change, with the newest decision of both forms.
INSERT INTO activation_changes (key, fingerprint, action, number, caller, reason, changed_us, after_decision)
VALUES (:key, :fingerprint, :action, :number, :caller, :reason, :changed_us, (
    SELECT coalesce(max(newest), 0) FROM (
        SELECT max(number) AS newest FROM decisions UNION ALL SELECT max(number) AS newest FROM decisions_before
    )
));

-- name: before_seal
-- Give what the seal of the accounts says that are left: a sum of none where all were moved as they were written.
SELECT count, total FROM seals WHERE name = 'accounts_before';

-- name: before_forget_seal
-- Forget the seal of a table that is dropped. Primary key.
DELETE FROM seals WHERE name = 'accounts_before';

-- name: before_drop
-- Drop what is empty.
DROP TABLE decisions_before; DROP TABLE postings_before; DROP TABLE accounts_before;
