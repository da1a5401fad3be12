-- name: accounts_wanted
-- Find accounts by id. Primary key.
SELECT accounts.* FROM carray(?) AS wanted CROSS JOIN accounts ON accounts.account_id = wanted.value;

-- name: account
-- Find one account. Primary key.
SELECT * FROM accounts WHERE account_id = ?;

-- name: accounts_all
-- Read every account in the order of its id. Primary key.
SELECT * FROM accounts ORDER BY account_id;

-- name: insert_account
-- Open an account.
INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_account
-- Replace what a decision or posting changes of an account. Primary key.
UPDATE accounts
SET status = ?, limit_minor = ?, held_minor = ?, outstanding_minor = ?, version = ?, profile = ?, growth = ?,
    last_decision = ?, chain = ?, holds = ?, last_posting = ?, postings_chain = ?, behaviour = ?, temporary = ?,
    limit_since_day = ?
WHERE account_id = ?;

-- name: account_count
-- Count the accounts; walks the primary key, once a run.
SELECT count(*) FROM accounts;

-- name: shard_end
-- Give the id at which a shard of so many accounts ends. Primary key, one shard long.
SELECT account_id FROM accounts WHERE account_id > ? ORDER BY account_id LIMIT 1 OFFSET ?;

-- name: accounts_after
-- Read accounts in order within a range of ids. Primary key.
SELECT * FROM accounts WHERE account_id > ? AND account_id <= ? ORDER BY account_id LIMIT ?;
