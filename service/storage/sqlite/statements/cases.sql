-- name: enter_case
-- Enter a case, or what became of it. Primary key.
INSERT INTO cases (number, account_id, decision, state, statement, news, submitted_by, submitted_us, due_us,
    suggested_minor, proposed_minor, proposed_by, resolved_by, resolved_us, note, result)
VALUES (:number, :account_id, :decision, :state, :statement, :news, :submitted_by, :submitted_us, :due_us,
    :suggested_minor, :proposed_minor, :proposed_by, :resolved_by, :resolved_us, :note, :result)
ON CONFLICT (number) DO UPDATE SET state = excluded.state, proposed_minor = excluded.proposed_minor,
    proposed_by = excluded.proposed_by, resolved_by = excluded.resolved_by, resolved_us = excluded.resolved_us,
    note = excluded.note, result = excluded.result
RETURNING number;

-- name: case
-- Find one case. Primary key.
SELECT number, account_id, decision, state, statement, news, submitted_by, submitted_us, due_us, suggested_minor,
    proposed_minor, proposed_by, resolved_by, resolved_us, note, result
FROM cases WHERE number = ?;

-- name: case_of_decision
-- Find the case that appeals a decision. Unique index on decision.
SELECT number, account_id, decision, state, statement, news, submitted_by, submitted_us, due_us, suggested_minor,
    proposed_minor, proposed_by, resolved_by, resolved_us, note, result
FROM cases WHERE decision = ?;

-- name: cases_of_account
-- Read an account's cases, newest first. Index cases_of_account.
SELECT number, account_id, decision, state, statement, news, submitted_by, submitted_us, due_us, suggested_minor,
    proposed_minor, proposed_by, resolved_by, resolved_us, note, result
FROM cases WHERE account_id = ? AND number < ? ORDER BY number DESC LIMIT ?;

-- name: cases_of_states
-- Read cases of some states that are due before a time, newest first. Walks back the primary key.
SELECT number, account_id, decision, state, statement, news, submitted_by, submitted_us, due_us, suggested_minor,
    proposed_minor, proposed_by, resolved_by, resolved_us, note, result
FROM cases WHERE state IN (SELECT value FROM carray(?)) AND due_us < ? AND number < ?
ORDER BY number DESC LIMIT ?;

-- name: cases_of_account_and_states
-- Read an account's cases of some states that are due before a time, newest first. Index cases_of_account.
SELECT number, account_id, decision, state, statement, news, submitted_by, submitted_us, due_us, suggested_minor,
    proposed_minor, proposed_by, resolved_by, resolved_us, note, result
FROM cases WHERE account_id = ? AND state IN (SELECT value FROM carray(?)) AND due_us < ? AND number < ?
ORDER BY number DESC LIMIT ?;

-- name: case_change
-- Find the change that a key stands for. Primary key.
SELECT key, fingerprint, number, action, caller, changed_us, note, limit_minor
FROM case_changes WHERE key = ?;

-- name: insert_case_change
-- Record a change.
INSERT INTO case_changes (key, fingerprint, number, action, caller, changed_us, note, limit_minor)
VALUES (:key, :fingerprint, :number, :action, :caller, :changed_us, :note, :limit_minor);

-- name: case_changes_of
-- Read what people said on a case, oldest first. Index case_changes_of_case.
SELECT key, fingerprint, number, action, caller, changed_us, note, limit_minor
FROM case_changes WHERE number = ? AND action NOT LIKE 'submit%'
ORDER BY changed_us, key LIMIT ? OFFSET ?;

-- name: insert_voice
-- Enter what a customer said.
INSERT INTO voices (key, fingerprint, kind, account_id, decision, product, policy_version, reasons, category, score,
    text, said_us)
VALUES (:key, :fingerprint, :kind, :account_id, :decision, :product, :policy_version, :reasons, :category, :score,
    :text, :said_us)
RETURNING number;

-- name: voice
-- Find what a key stands for. Unique index on key.
SELECT number, key, fingerprint, kind, account_id, decision, product, policy_version, reasons, category, score, text,
    said_us
FROM voices WHERE key = ?;

-- name: voices_after
-- Read what customers said after a number, oldest first. Primary key.
SELECT number, key, fingerprint, kind, account_id, decision, product, policy_version, reasons, category, score, text,
    said_us
FROM voices WHERE number > ? ORDER BY number LIMIT ?;

-- name: voices_since
-- Read what customers said since a time, newest first. Index voices_said.
SELECT number, key, fingerprint, kind, account_id, decision, product, policy_version, reasons, category, score, text,
    said_us
FROM voices WHERE said_us >= ? ORDER BY said_us DESC LIMIT ?;
