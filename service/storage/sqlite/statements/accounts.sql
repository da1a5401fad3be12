-- name: accounts_wanted
-- Find accounts by id. Primary key.
SELECT accounts.account_id, accounts.product, accounts.currency, accounts.status, accounts.record, accounts.facts,
    accounts.behaviour, accounts.chain, accounts.postings_chain
FROM carray(?) AS wanted CROSS JOIN accounts ON accounts.account_id = wanted.value;

-- name: account
-- Find one account. Primary key.
SELECT account_id, product, currency, status, record, facts, behaviour, chain, postings_chain
FROM accounts WHERE account_id = ?;

-- name: accounts_all
-- Read every account in the order of its id. Primary key.
SELECT account_id, product, currency, status, record, facts, behaviour, chain, postings_chain
FROM accounts ORDER BY account_id;

-- name: insert_account
-- Open an account.
INSERT INTO accounts (account_id, product, currency, status, record, facts, behaviour, chain, postings_chain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_account
-- Replace what a decision or posting changes of an account. Primary key.
-- The whole row is bound, in the order of its columns.
UPDATE accounts SET status = ?4, record = ?5, facts = ?6, behaviour = ?7, chain = ?8, postings_chain = ?9
WHERE account_id = ?1;

-- name: account_count
-- Count the accounts; walks the primary key, once a run.
SELECT count(*) FROM accounts;

-- name: shard_end
-- Give the id at which a shard of so many accounts ends. Primary key, one shard long.
SELECT account_id FROM accounts WHERE account_id > ? ORDER BY account_id LIMIT 1 OFFSET ?;

-- name: accounts_after
-- Read accounts in order within a range of ids. Primary key.
SELECT account_id, product, currency, status, record, facts, behaviour, chain, postings_chain
FROM accounts WHERE account_id > ? AND account_id <= ? ORDER BY account_id LIMIT ?;
