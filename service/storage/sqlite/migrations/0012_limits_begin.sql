-- Since when an account has a limit, and how many accounts that a run passed had none on its date.

-- A day since 1970-01-01; 0 where the limit was taken over (kind 5): it was there before.
ALTER TABLE accounts ADD COLUMN limit_since_day INTEGER NOT NULL DEFAULT 0;

-- The first decision that left the account active, from the log, read once.
UPDATE accounts SET limit_since_day = opening.business_day
FROM (
    SELECT account_id, business_day, kind, min(number) FROM decisions WHERE status = 2 GROUP BY account_id
) AS opening
WHERE opening.account_id = accounts.account_id AND opening.kind <> 5;

ALTER TABLE run_shards ADD COLUMN without_limit INTEGER NOT NULL DEFAULT 0;
