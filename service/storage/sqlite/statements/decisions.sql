-- name: recorded
-- Find what keys stand for; a posting's or another write's key finds no decision. Primary keys of three tables.
SELECT keys.key, keys.number AS stands_for, accounts.product, accounts.currency, decisions.number, decisions.account_id,
    decisions.record, decisions.facts, decisions.chain
FROM carray(?) AS wanted
CROSS JOIN idempotency_keys AS keys ON keys.key = wanted.value
LEFT JOIN decisions ON decisions.number = keys.number
LEFT JOIN accounts ON accounts.account_id = decisions.account_id;

-- name: decision
-- Find one decision with its account's constant parts. Primary keys.
SELECT accounts.product, accounts.currency, decisions.number, decisions.account_id, decisions.record, decisions.facts,
    decisions.chain
FROM decisions JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number = ?;

-- name: decisions_all
-- Read every decision in order. Primary key.
SELECT accounts.product, accounts.currency, decisions.number, decisions.account_id, decisions.record, decisions.facts,
    decisions.chain
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
ORDER BY decisions.number;

-- name: decision_count
-- Count the log.
SELECT count(*) FROM decisions;

-- name: insert_decision
-- Append to the log.
INSERT INTO decisions (number, account_id, record, facts, chain) VALUES (?, ?, ?, ?, ?);

-- name: decisions_after
-- Read decisions from after a number, oldest first. Primary key.
SELECT accounts.product, accounts.currency, decisions.number, decisions.account_id, decisions.record, decisions.facts,
    decisions.chain
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number > ? ORDER BY decisions.number LIMIT ?;

-- name: decisions_before
-- Read decisions from before a number, newest first. Primary key.
SELECT accounts.product, accounts.currency, decisions.number, decisions.account_id, decisions.record, decisions.facts,
    decisions.chain
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number < ? ORDER BY decisions.number DESC LIMIT ?;
