-- name: insert_message
-- Put a message in the outbox.
INSERT INTO outbox (topic, severity, body, created_us, due_us, attempts, state, account_id, record)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: messages_due
-- Read a topic's messages that are due, in order, but those that wait for an earlier one of their account that failed.
-- Index outbox_due; index outbox_failing.
SELECT sequence, topic, severity, body, created_us, due_us, attempts, state, account_id, record
FROM outbox
WHERE state = 0 AND topic = ? AND due_us <= ? AND NOT EXISTS (
    SELECT 1 FROM outbox AS failed
    WHERE failed.state = 0 AND failed.attempts > 0 AND failed.account_id = outbox.account_id
        AND failed.account_id <> '' AND failed.sequence < outbox.sequence
)
ORDER BY due_us, sequence LIMIT ?;

-- name: messages
-- Read a topic's messages of some states, newest first. Walks back the primary key.
SELECT sequence, topic, severity, body, created_us, due_us, attempts, state, account_id, record
FROM outbox WHERE topic = ? AND state IN (SELECT value FROM carray(?)) AND sequence < ?
ORDER BY sequence DESC LIMIT ?;

-- name: messages_of
-- Read the messages about some records, oldest first. Index outbox_records.
SELECT outbox.sequence, outbox.topic, outbox.severity, outbox.body, outbox.created_us, outbox.due_us, outbox.attempts,
    outbox.state, outbox.account_id, outbox.record
FROM carray(?) AS wanted
CROSS JOIN outbox ON outbox.record = wanted.value AND outbox.record > 0
ORDER BY outbox.sequence;

-- name: update_message
-- Note what became of a message. Primary key.
UPDATE outbox SET due_us = ?, attempts = ?, state = ? WHERE sequence = ?;

-- name: redrive
-- Let messages that were given up be told again. Primary key.
UPDATE outbox SET state = 0, attempts = 0, due_us = ?1
WHERE state = 2 AND sequence IN (SELECT value FROM carray(?2))
RETURNING sequence;

-- name: messages_slice
-- Read the next slice of messages, for the purge. Primary key.
SELECT sequence, created_us, state FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?;

-- name: delete_message
-- Forget a message. Primary key.
DELETE FROM outbox WHERE sequence = ?;

-- name: withdraw_endings
-- Take back the announced end of an account's temporary raise. Index outbox_endings.
DELETE FROM outbox WHERE account_id = ? AND body = 'temporary_ends' AND state = 0;
