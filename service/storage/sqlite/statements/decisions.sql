-- name: recorded
-- Find what keys stand for; a posting's or another write's key finds no decision. Primary keys of three tables.
SELECT keys.key, keys.number, accounts.product, accounts.currency, decisions.number, decisions.previous,
    decisions.account_id, decisions.account_version, decisions.kind, decisions.outcome, decisions.status,
    decisions.old_limit_minor, decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor,
    decisions.profile, decisions.growth, decisions.points, decisions.reasons, decisions.policy_version,
    decisions.mode_id, decisions.activations, decisions.caller, decisions.request_id, decisions.fingerprint,
    decisions.trace_id, decisions.decided_us, decisions.business_day, decisions.notice_day, decisions.promised_minor,
    decisions.temporary, decisions.rules, decisions.chain
FROM carray(?) AS wanted
CROSS JOIN idempotency_keys AS keys ON keys.key = wanted.value
LEFT JOIN decisions ON decisions.number = keys.number
LEFT JOIN accounts ON accounts.account_id = decisions.account_id;

-- name: decision
-- Find one decision with its account's constant parts. Primary keys.
SELECT accounts.product, accounts.currency, decisions.number, decisions.previous, decisions.account_id,
    decisions.account_version, decisions.kind, decisions.outcome, decisions.status, decisions.old_limit_minor,
    decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor, decisions.profile, decisions.growth,
    decisions.points, decisions.reasons, decisions.policy_version, decisions.mode_id, decisions.activations,
    decisions.caller, decisions.request_id, decisions.fingerprint, decisions.trace_id, decisions.decided_us,
    decisions.business_day, decisions.notice_day, decisions.promised_minor, decisions.temporary, decisions.rules,
    decisions.chain
FROM decisions JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number = ?;

-- name: decisions_all
-- Read every decision in order. Primary key.
SELECT accounts.product, accounts.currency, decisions.number, decisions.previous, decisions.account_id,
    decisions.account_version, decisions.kind, decisions.outcome, decisions.status, decisions.old_limit_minor,
    decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor, decisions.profile, decisions.growth,
    decisions.points, decisions.reasons, decisions.policy_version, decisions.mode_id, decisions.activations,
    decisions.caller, decisions.request_id, decisions.fingerprint, decisions.trace_id, decisions.decided_us,
    decisions.business_day, decisions.notice_day, decisions.promised_minor, decisions.temporary, decisions.rules,
    decisions.chain
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
ORDER BY decisions.number;

-- name: decision_count
-- Count the log.
SELECT count(*) FROM decisions;

-- name: insert_decision
-- Append to the log.
INSERT INTO decisions (number, previous, account_id, account_version, kind, outcome, status, old_limit_minor,
    new_limit_minor, held_minor, outstanding_minor, profile, growth, points, reasons, policy_version, mode_id,
    activations, caller, request_id, fingerprint, trace_id, decided_us, business_day, notice_day, promised_minor,
    temporary, rules, chain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: looks_after
-- Read what guards see of decisions after a number, oldest first. Primary key.
SELECT decisions.number, accounts.product, decisions.kind, decisions.new_limit_minor - decisions.old_limit_minor,
    decisions.profile, decisions.points, decisions.decided_us, decisions.activations = '', decisions.caller
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number > ? ORDER BY decisions.number LIMIT ?;

-- name: looks_before
-- Read what guards see of decisions before a number, newest first. Primary key.
SELECT decisions.number, accounts.product, decisions.kind, decisions.new_limit_minor - decisions.old_limit_minor,
    decisions.profile, decisions.points, decisions.decided_us, decisions.activations = '', decisions.caller
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number < ? ORDER BY decisions.number DESC LIMIT ?;

-- name: decisions_before
-- Read decisions from before a number, newest first. Primary key.
SELECT accounts.product, accounts.currency, decisions.number, decisions.previous, decisions.account_id,
    decisions.account_version, decisions.kind, decisions.outcome, decisions.status, decisions.old_limit_minor,
    decisions.new_limit_minor, decisions.held_minor, decisions.outstanding_minor, decisions.profile, decisions.growth,
    decisions.points, decisions.reasons, decisions.policy_version, decisions.mode_id, decisions.activations,
    decisions.caller, decisions.request_id, decisions.fingerprint, decisions.trace_id, decisions.decided_us,
    decisions.business_day, decisions.notice_day, decisions.promised_minor, decisions.temporary, decisions.rules,
    decisions.chain
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number < ? ORDER BY decisions.number DESC LIMIT ?;
