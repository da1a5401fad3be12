-- name: posting
-- Find one posting with its account's constant parts. Primary keys.
SELECT accounts.product, accounts.currency, postings.*
FROM postings JOIN accounts ON accounts.account_id = postings.account_id
WHERE postings.number = ?;

-- name: posting_count
-- Count the postings.
SELECT count(*) FROM postings;

-- name: insert_posting
-- Append to the postings.
-- The link is bound last: it is made from the others.
INSERT INTO postings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?21, ?19, ?20);

-- name: hold
-- Find one hold. Primary key.
SELECT * FROM holds WHERE account_id = ? AND number = ?;

-- name: holds
-- Read an account's holds from before a number, newest first. Primary key.
SELECT * FROM holds WHERE account_id = ? AND number < ? ORDER BY number DESC LIMIT ?;

-- name: holds_open
-- Read an account's holds that nobody closed, expired ones included. Primary key.
SELECT * FROM holds WHERE account_id = ? AND state = 1 ORDER BY number;

-- name: enter_hold
-- Enter a hold, or what became of it. Primary key.
INSERT INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, number) DO UPDATE SET state = excluded.state, captured_minor = excluded.captured_minor;
