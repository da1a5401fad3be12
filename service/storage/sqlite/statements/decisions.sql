-- name: recorded
-- Find what keys stand for; a posting's or another write's key finds no decision. Primary keys of three tables.
SELECT keys.key, keys.number, accounts.product, accounts.currency, decisions.*
FROM carray(?) AS wanted
CROSS JOIN idempotency_keys AS keys ON keys.key = wanted.value
LEFT JOIN decisions ON decisions.number = keys.number
LEFT JOIN accounts ON accounts.account_id = decisions.account_id;

-- name: decision
-- Find one decision with its account's constant parts. Primary keys.
SELECT accounts.product, accounts.currency, decisions.*
FROM decisions JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number = ?;

-- name: decisions_all
-- Read every decision in order. Primary key.
SELECT accounts.product, accounts.currency, decisions.*
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
ORDER BY decisions.number;

-- name: decision_count
-- Count the log.
SELECT count(*) FROM decisions;

-- name: insert_decision
-- Append to the log.
-- The link is bound last: it is made from the others.
INSERT INTO decisions VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?29, ?26, ?27, ?28
);

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
SELECT accounts.product, accounts.currency, decisions.*
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number < ? ORDER BY decisions.number DESC LIMIT ?;
