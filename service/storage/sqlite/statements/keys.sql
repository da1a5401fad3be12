-- name: insert_key
-- Keep a key with its decision; with the negative of a time, in microseconds, where another write bears it.
INSERT INTO idempotency_keys (key, number)
VALUES (?, ?);

-- name: keys_expired
-- Find the next keys to purge, by walking both logs from the mark. Primary keys.
SELECT number, record, 0 AS is_posting FROM decisions
WHERE number > (SELECT purged FROM control WHERE one = 1) AND number < ?1
UNION ALL
SELECT number, record, 1 AS is_posting FROM postings
WHERE number > (SELECT purged FROM control WHERE one = 1) AND number < ?1
ORDER BY number LIMIT ?2;

-- name: delete_key
-- Forget a key. Primary key.
DELETE FROM idempotency_keys WHERE key = ?;

-- name: mark_purged
-- Remember how far the log was purged of keys.
UPDATE control SET purged = ? WHERE one = 1;

-- name: has_key
-- Find whether a key stands for a write. Primary key.
SELECT 1 FROM idempotency_keys WHERE key = ?;

-- name: delete_keys_beside
-- Forget the oldest keys of writes beside decisions, up to a time. Partial index on number.
DELETE FROM idempotency_keys WHERE key IN (
    SELECT key FROM idempotency_keys WHERE number < 0 AND number > ?1 ORDER BY number DESC LIMIT ?2
) RETURNING key;

-- name: keys_of_records
-- Read the keys of decisions and postings, each with the record of either. Primary keys.
SELECT keys.key, decisions.record AS decision, postings.record AS posting FROM idempotency_keys AS keys
LEFT JOIN decisions ON decisions.number = keys.number
LEFT JOIN postings ON postings.number = keys.number
WHERE keys.number >= 0;

-- name: keys_without_change
-- Count keys whose change beside decisions is missing. Partial index on number, unique indexes.
SELECT count(*) FROM idempotency_keys AS keys
WHERE keys.number < 0 AND NOT (
    EXISTS (SELECT 1 FROM policy_changes WHERE policy_changes.key = keys.key)
    OR EXISTS (SELECT 1 FROM activation_changes WHERE activation_changes.key = keys.key)
    OR EXISTS (SELECT 1 FROM voices WHERE voices.key = keys.key)
    OR EXISTS (SELECT 1 FROM case_changes WHERE case_changes.key = keys.key)
    OR EXISTS (SELECT 1 FROM clock_changes WHERE clock_changes.key = keys.key)
    OR EXISTS (SELECT 1 FROM baselines WHERE baselines.key = keys.key AND baselines.key <> '')
    OR EXISTS (SELECT 1 FROM acts WHERE acts.key = keys.key)
);
