-- name: events_taken
-- Find which events were taken before. Primary key.
SELECT events.key, events.fingerprint FROM carray(?) AS wanted CROSS JOIN events ON events.key = wanted.value;

-- name: insert_event
-- Remember an event.
INSERT INTO events (key, fingerprint, occurred_us, caller)
VALUES (?, ?, ?, ?);

-- name: update_behaviour
-- Replace what events left of an account. Primary key.
UPDATE accounts SET behaviour = ? WHERE account_id = ?;

-- name: events_slice
-- Read the next slice of keys, for the purge. Primary key.
SELECT key, occurred_us FROM events WHERE key > ? ORDER BY key LIMIT ?;

-- name: delete_event
-- Forget an event. Primary key.
DELETE FROM events WHERE key = ?;
