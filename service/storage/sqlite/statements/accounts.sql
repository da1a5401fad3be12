-- name: accounts_wanted
-- Find accounts by id. Primary key.
SELECT accounts.account_id, accounts.product, accounts.currency, accounts.status, accounts.limit_minor,
    accounts.held_minor, accounts.outstanding_minor, accounts.version, accounts.profile, accounts.growth,
    accounts.last_decision, accounts.chain, accounts.holds, accounts.last_posting, accounts.postings_chain,
    accounts.behaviour, accounts.temporary, accounts.limit_since_day
FROM carray(?) AS wanted CROSS JOIN accounts ON accounts.account_id = wanted.value;

-- name: account
-- Find one account. Primary key.
SELECT account_id, product, currency, status, limit_minor, held_minor, outstanding_minor, version, profile, growth,
    last_decision, chain, holds, last_posting, postings_chain, behaviour, temporary, limit_since_day
FROM accounts WHERE account_id = ?;

-- name: accounts_all
-- Read every account in the order of its id. Primary key.
SELECT account_id, product, currency, status, limit_minor, held_minor, outstanding_minor, version, profile, growth,
    last_decision, chain, holds, last_posting, postings_chain, behaviour, temporary, limit_since_day
FROM accounts ORDER BY account_id;

-- name: insert_account
-- Open an account.
INSERT INTO accounts (account_id, product, currency, status, limit_minor, held_minor, outstanding_minor, version,
    profile, growth, last_decision, chain, holds, last_posting, postings_chain, behaviour, temporary, limit_since_day)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_account
-- Replace what a decision or posting changes of an account. Primary key.
-- Bound by the same row as `insert_account`.
UPDATE accounts
SET status = ?4, limit_minor = ?5, held_minor = ?6, outstanding_minor = ?7, version = ?8, profile = ?9, growth =
    ?10, last_decision = ?11, chain = ?12, holds = ?13, last_posting = ?14, postings_chain = ?15, behaviour = ?16,
    temporary = ?17, limit_since_day = ?18
WHERE account_id = ?1;

-- name: account_count
-- Count the accounts; walks the primary key, once a run.
SELECT count(*) FROM accounts;

-- name: shard_end
-- Give the id at which a shard of so many accounts ends. Primary key, one shard long.
SELECT account_id FROM accounts WHERE account_id > ? ORDER BY account_id LIMIT 1 OFFSET ?;

-- name: accounts_after
-- Read accounts in order within a range of ids. Primary key.
SELECT account_id, product, currency, status, limit_minor, held_minor, outstanding_minor, version, profile, growth,
    last_decision, chain, holds, last_posting, postings_chain, behaviour, temporary, limit_since_day
FROM accounts WHERE account_id > ? AND account_id <= ? ORDER BY account_id LIMIT ?;
