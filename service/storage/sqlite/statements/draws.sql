-- name: posting
-- Find one posting with its account's constant parts. Primary keys.
SELECT accounts.product, accounts.currency, postings.number, postings.account_id, postings.record, postings.chain
FROM postings JOIN accounts ON accounts.account_id = postings.account_id
WHERE postings.number = ?;

-- name: posting_count
-- Count the postings.
SELECT count(*) FROM postings;

-- name: insert_posting
-- Append to the postings.
INSERT INTO postings (number, account_id, record, chain) VALUES (?, ?, ?, ?);

-- name: hold
-- Find one hold. Primary key.
SELECT account_id, number, state, authorised_minor, captured_minor, authorised_us, expires_us, reference
FROM holds WHERE account_id = ? AND number = ?;

-- name: holds
-- Read an account's holds from before a number, newest first. Primary key.
SELECT account_id, number, state, authorised_minor, captured_minor, authorised_us, expires_us, reference
FROM holds WHERE account_id = ? AND number < ? ORDER BY number DESC LIMIT ?;

-- name: holds_open
-- Read an account's holds that nobody closed, expired ones included. Primary key.
SELECT account_id, number, state, authorised_minor, captured_minor, authorised_us, expires_us, reference
FROM holds WHERE account_id = ? AND state = 1 ORDER BY number;

-- name: enter_hold
-- Enter a hold, or what became of it. Primary key.
INSERT INTO holds (account_id, number, state, authorised_minor, captured_minor, authorised_us, expires_us, reference)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, number) DO UPDATE SET state = excluded.state, captured_minor = excluded.captured_minor;
