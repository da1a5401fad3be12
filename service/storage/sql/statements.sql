-- Each statement has a name, a sentence, and the index that serves it. storage/statements.py reads this file.

-- name: control
-- Read what every batch reads first. Primary keys; max(number) is the right edge of a table.
SELECT generation, max((SELECT coalesce(max(number), 0) FROM decisions), (SELECT coalesce(max(number), 0) FROM postings))
FROM control WHERE one = 1;

-- name: recorded
-- Find what keys stand for; a posting's or another write's key finds no decision. Primary keys of three tables.
SELECT keys.key, keys.number, accounts.product, accounts.currency, decisions.*
FROM carray(?) AS wanted
CROSS JOIN idempotency_keys AS keys ON keys.key = wanted.value
LEFT JOIN decisions ON decisions.number = keys.number
LEFT JOIN accounts ON accounts.account_id = decisions.account_id;

-- name: accounts_wanted
-- Find accounts by id. Primary key.
SELECT accounts.* FROM carray(?) AS wanted CROSS JOIN accounts ON accounts.account_id = wanted.value;

-- name: account
-- Find one account. Primary key.
SELECT * FROM accounts WHERE account_id = ?;

-- name: accounts_all
-- Read every account in the order of its id. Primary key.
SELECT * FROM accounts ORDER BY account_id;

-- name: decision
-- Find one decision with its account's constant parts. Primary keys.
SELECT accounts.product, accounts.currency, decisions.*
FROM decisions JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number = ?;

-- name: decisions_all
-- Read every decision in order. Primary key.
SELECT accounts.product, accounts.currency, decisions.*
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
ORDER BY decisions.number;

-- name: decision_count
-- Count the log.
SELECT count(*) FROM decisions;

-- name: insert_decision
-- Append to the log.
-- The link is bound last: it is made from the others.
INSERT INTO decisions VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?29, ?26, ?27, ?28
);

-- name: insert_key
-- Keep a key with its decision; with the negative of a time, in microseconds, where another write bears it.
INSERT INTO idempotency_keys VALUES (?, ?);

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

-- name: keys_expired
-- Find the next keys to purge, by walking both logs from the mark. Primary keys.
SELECT number, caller || '/' || request_id FROM decisions
WHERE number > (SELECT purged FROM control WHERE one = 1) AND number < ?1
UNION ALL
SELECT number, caller || '/' || request_id FROM postings
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

-- name: keys_without_decision
-- Count keys whose decision, posting or change is missing or another's. Primary keys, unique indexes.
SELECT count(*) FROM idempotency_keys AS keys
LEFT JOIN decisions ON decisions.number = keys.number
LEFT JOIN postings ON postings.number = keys.number
WHERE CASE WHEN keys.number < 0 THEN NOT (
        EXISTS (SELECT 1 FROM policy_changes WHERE policy_changes.key = keys.key)
        OR EXISTS (SELECT 1 FROM activation_changes WHERE activation_changes.key = keys.key)
        OR EXISTS (SELECT 1 FROM voices WHERE voices.key = keys.key)
        OR EXISTS (SELECT 1 FROM case_changes WHERE case_changes.key = keys.key)
        OR EXISTS (SELECT 1 FROM clock_changes WHERE clock_changes.key = keys.key)
        OR EXISTS (SELECT 1 FROM baselines WHERE baselines.key = keys.key AND baselines.key <> '')
        OR EXISTS (SELECT 1 FROM acts WHERE acts.key = keys.key)
    )
    ELSE coalesce(decisions.caller || '/' || decisions.request_id, postings.caller || '/' || postings.request_id, '')
        <> keys.key
    END;

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

-- name: events_taken
-- Find which events were taken before. Primary key.
SELECT events.key, events.fingerprint FROM carray(?) AS wanted CROSS JOIN events ON events.key = wanted.value;

-- name: insert_event
-- Remember an event.
INSERT INTO events VALUES (?, ?, ?, ?);

-- name: update_behaviour
-- Replace what events left of an account. Primary key.
UPDATE accounts SET behaviour = ? WHERE account_id = ?;

-- name: events_slice
-- Read the next slice of keys, for the purge. Primary key.
SELECT key, occurred_us FROM events WHERE key > ? ORDER BY key LIMIT ?;

-- name: delete_event
-- Forget an event. Primary key.
DELETE FROM events WHERE key = ?;

-- name: active_versions
-- Read which version decides for each product. Index policies_one_active.
SELECT product, version FROM policies WHERE state = 4;

-- name: policy
-- Find one version. Unique index on version.
SELECT version, product, currency, content_hash, document, state, published_by, published_us, activated_us
FROM policies WHERE version = ?;

-- name: policies
-- Read all versions, newest first.
SELECT version, product, currency, content_hash, document, state, published_by, published_us, activated_us
FROM policies ORDER BY sequence DESC;

-- name: enter_policy
-- Enter a version, or its new state. Unique index on version.
INSERT INTO policies (version, product, currency, content_hash, document, state, published_by, published_us, activated_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (version) DO UPDATE SET state = excluded.state, activated_us = excluded.activated_us;

-- name: policy_change
-- Find the change that a key stands for. Unique index on key.
SELECT key, fingerprint, action, version, product, previous_version, caller, reason, changed_us, sequence
FROM policy_changes WHERE key = ?;

-- name: policy_switches
-- Read a product's newest promotions and roll-backs, newest first. Walks back the log of changes, a person's at a time.
SELECT key, fingerprint, action, version, product, previous_version, caller, reason, changed_us, sequence
FROM policy_changes WHERE product = ? AND action IN ('promote', 'rollback') ORDER BY sequence DESC LIMIT ?;

-- name: insert_policy_change
-- Record a change, and give its place in the store's own order.
INSERT INTO policy_changes (key, fingerprint, action, version, product, previous_version, caller, reason, changed_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING sequence;

-- name: next_generation
-- Tell every engine that the policies changed.
UPDATE control SET generation = generation + 1 WHERE one = 1;

-- name: activations_open
-- Read the activations that may be in force after a time, by number. Index activations_open.
SELECT * FROM activations WHERE ended_us = 0 AND until_us > ? ORDER BY number;

-- name: activation
-- Find one activation. Primary key.
SELECT * FROM activations WHERE number = ?;

-- name: activations_newest
-- Read activations, newest first, from before a number. Primary key.
SELECT * FROM activations WHERE number < ? ORDER BY number DESC LIMIT ?;

-- name: next_activation
-- Give the number of the next activation; numbers are never used again.
SELECT coalesce(max(number), 0) + 1 FROM activations;

-- name: enter_activation
-- Enter an activation, or what became of it. Primary key.
INSERT INTO activations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET approved_by = excluded.approved_by, from_us = excluded.from_us,
    until_us = excluded.until_us, ended_us = excluded.ended_us, ended_by = excluded.ended_by;

-- name: activation_change
-- Find the change that a key stands for. Unique index on key.
SELECT * FROM activation_changes WHERE key = ?;

-- name: activation_changes
-- Read changes after a sequence, oldest first. Primary key.
SELECT * FROM activation_changes WHERE sequence > ? ORDER BY sequence LIMIT ?;

-- name: last_change
-- Give the newest change's sequence, 0 before the first. Right edge of the primary key.
SELECT coalesce(max(sequence), 0) FROM activation_changes;

-- name: insert_activation_change
-- Record a change.
INSERT INTO activation_changes (key, fingerprint, action, number, caller, reason, changed_us, after_decision)
VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(number), 0) FROM decisions));

-- name: insert_message
-- Put a message in the outbox.
INSERT INTO outbox (topic, severity, body, created_us, due_us, attempts, state, account_id, record)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: messages_due
-- Read a topic's messages that are due, in order, but those that wait for an earlier one of their account that failed.
-- Index outbox_due; index outbox_failing.
SELECT * FROM outbox
WHERE state = 0 AND topic = ? AND due_us <= ? AND NOT EXISTS (
    SELECT 1 FROM outbox AS failed
    WHERE failed.state = 0 AND failed.attempts > 0 AND failed.account_id = outbox.account_id
        AND failed.account_id <> '' AND failed.sequence < outbox.sequence
)
ORDER BY due_us, sequence LIMIT ?;

-- name: messages
-- Read a topic's messages of some states, newest first. Walks back the primary key.
SELECT * FROM outbox WHERE topic = ? AND state IN (SELECT value FROM carray(?)) AND sequence < ?
ORDER BY sequence DESC LIMIT ?;

-- name: messages_of
-- Read the messages about some records, oldest first. Index outbox_records.
SELECT outbox.* FROM carray(?) AS wanted
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

-- name: engines
-- Read the engines seen since a time.
SELECT * FROM engines WHERE seen_us >= ? ORDER BY engine_id;

-- name: enter_engine
-- Note that an engine was seen. Primary key.
INSERT INTO engines VALUES (?, ?, ?, ?, ?)
ON CONFLICT (engine_id) DO UPDATE SET build = excluded.build, policy_compiler = excluded.policy_compiler,
    playbooks = excluded.playbooks, seen_us = excluded.seen_us;

-- name: forget_engines
-- Forget engines that were not seen for long.
DELETE FROM engines WHERE seen_us < ?;

-- name: growth
-- Read what was granted since a minute. Primary key.
SELECT currency, minute, raised_minor FROM growth WHERE minute >= ?;

-- name: add_growth
-- Add what was granted in a minute. Primary key.
INSERT INTO growth VALUES (?, ?, ?)
ON CONFLICT (currency, minute) DO UPDATE SET raised_minor = raised_minor + excluded.raised_minor;

-- name: forget_growth
-- Forget minutes that no window reaches.
DELETE FROM growth WHERE minute < ?;

-- name: insert_baseline
-- Keep a baseline.
INSERT INTO baselines (product, learned_us, decisions, learned_by, content, key, fingerprint, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: baseline
-- Find the baseline that a key stands for. Partial unique index on key.
SELECT * FROM baselines WHERE key = ?1 AND key <> '';

-- name: baselines
-- Read the newest baseline of each product.
SELECT * FROM baselines WHERE version IN (SELECT max(version) FROM baselines GROUP BY product) ORDER BY product;

-- name: looks_after
-- Read what guards see of decisions after a number, oldest first. Primary key.
SELECT decisions.number, accounts.product, decisions.kind, decisions.new_limit_minor - decisions.old_limit_minor,
    decisions.profile, decisions.points, decisions.decided_us, decisions.activations = '', decisions.caller
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number > ? ORDER BY decisions.number LIMIT ?;

-- name: looks_before
-- Read what guards see of decisions before a number, newest first. Primary key.
SELECT decisions.number, accounts.product, decisions.kind, decisions.new_limit_minor - decisions.old_limit_minor,
    decisions.profile, decisions.points, decisions.decided_us, decisions.activations = '', decisions.caller
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number < ? ORDER BY decisions.number DESC LIMIT ?;

-- name: decisions_before
-- Read decisions from before a number, newest first. Primary key.
SELECT accounts.product, accounts.currency, decisions.*
FROM decisions CROSS JOIN accounts ON accounts.account_id = decisions.account_id
WHERE decisions.number < ? ORDER BY decisions.number DESC LIMIT ?;

-- name: enter_entitlement
-- Settle a promise; what was granted stays granted, and a second grant on one day adds up. Primary key.
INSERT INTO entitlements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, business_day) DO UPDATE SET
    state = excluded.state, reason = excluded.reason, promised_minor = max(promised_minor, excluded.promised_minor),
    granted_minor = granted_minor + excluded.granted_minor, policy_version = excluded.policy_version,
    segment = excluded.segment, decision = excluded.decision, waiting_since = excluded.waiting_since
WHERE excluded.state <= state;

-- name: entitlement
-- Find one entitlement. Primary key.
SELECT * FROM entitlements WHERE account_id = ? AND business_day = ?;

-- name: entitlements_unfounded
-- Count promises whose decision is missing, another's, or promised nothing. Primary keys.
SELECT count(*) FROM entitlements
LEFT JOIN decisions ON decisions.number = entitlements.decision
WHERE decisions.number IS NULL OR decisions.account_id <> entitlements.account_id
    OR decisions.business_day <> entitlements.business_day OR decisions.promised_minor = 0;

-- name: entitlements
-- Read an account's entitlements, newest first, from before a day. Primary key.
SELECT * FROM entitlements WHERE account_id = ? AND business_day < ? ORDER BY business_day DESC LIMIT ?;

-- name: waiting_day
-- Give the newest day before a day on which somebody was withheld for the budget. Index entitlements_waiting.
SELECT coalesce(max(business_day), 0) FROM entitlements WHERE waiting_since > 0 AND business_day < ?;

-- name: waiting
-- Read who waits since a day's end, in turn, from after a place in it. Index entitlements_waiting.
SELECT account_id, waiting_since, decision FROM entitlements
WHERE business_day = ? AND waiting_since > 0 AND (waiting_since, decision) > (?, ?)
ORDER BY waiting_since, decision LIMIT ?;

-- name: run
-- Find a day's run. Primary key.
SELECT * FROM runs WHERE business_day = ?;

-- name: runs_open
-- Read the runs that are not over: few.
SELECT * FROM runs WHERE state = 1 ORDER BY business_day;

-- name: runs_of_states
-- Read runs of some states, newest first. Walks back the primary key.
SELECT * FROM runs WHERE business_day < ? AND state IN (SELECT value FROM carray(?))
ORDER BY business_day DESC LIMIT ?;

-- name: enter_run
-- Enter a run, or what became of it. Primary key.
INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (business_day) DO UPDATE SET state = excluded.state, ended_us = excluded.ended_us,
    accounts = excluded.accounts, cursor = excluded.cursor, is_cut = excluded.is_cut;

-- name: passed
-- Add up what the newest runs have come to. Primary keys.
SELECT runs.business_day, runs.state, runs.ended_us, coalesce(sum(run_shards.looked - run_shards.without_limit), 0),
    coalesce(sum(run_shards.granted), 0), coalesce(sum(run_shards.waiting), 0)
FROM (SELECT business_day, state, ended_us FROM runs ORDER BY business_day DESC LIMIT ?) AS runs
LEFT JOIN run_shards ON run_shards.business_day = runs.business_day
GROUP BY runs.business_day ORDER BY runs.business_day DESC;

-- name: account_count
-- Count the accounts; walks the primary key, once a run.
SELECT count(*) FROM accounts;

-- name: shard_end
-- Give the id at which a shard of so many accounts ends. Primary key, one shard long.
SELECT account_id FROM accounts WHERE account_id > ? ORDER BY account_id LIMIT 1 OFFSET ?;

-- name: accounts_after
-- Read accounts in order within a range of ids. Primary key.
SELECT * FROM accounts WHERE account_id > ? AND account_id <= ? ORDER BY account_id LIMIT ?;

-- name: shards
-- Read a run's shards in order. Primary key.
SELECT * FROM run_shards WHERE business_day = ? ORDER BY shard;

-- name: shard
-- Find one shard. Primary key.
SELECT * FROM run_shards WHERE business_day = ? AND shard = ?;

-- name: enter_shard
-- Enter a shard, or how far it is. Primary key.
INSERT INTO run_shards VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (business_day, shard) DO UPDATE SET done_id = excluded.done_id, holder = excluded.holder,
    lease_us = excluded.lease_us, looked = excluded.looked, granted = excluded.granted, withheld = excluded.withheld,
    done_us = excluded.done_us, begun_us = excluded.begun_us, waiting = excluded.waiting,
    without_limit = excluded.without_limit;

-- name: budget_slices
-- Read what was taken out of a day's budget. Primary key.
SELECT holder, taken_minor, raised_minor FROM budget_slices WHERE product = ? AND business_day = ?;

-- name: budget_days
-- Read what was taken out of the budgets of some days in order. Primary key.
SELECT business_day, holder, taken_minor, raised_minor FROM budget_slices
WHERE product = ? AND business_day BETWEEN ? AND ? ORDER BY business_day, holder;

-- name: enter_slice
-- Take or use up a slice of a day's budget. Primary key.
INSERT INTO budget_slices VALUES (?, ?, ?, ?, ?)
ON CONFLICT (product, business_day, holder) DO UPDATE SET taken_minor = excluded.taken_minor,
    raised_minor = excluded.raised_minor;

-- name: closing
-- Find how a day was closed. Primary key.
SELECT * FROM closings WHERE business_day = ?;

-- name: closings_open
-- Read the closings that are not over: few.
SELECT * FROM closings WHERE state IN (1, 3) ORDER BY business_day;

-- name: closings_of_states
-- Read closings of some states, newest first. Walks back the primary key.
SELECT * FROM closings WHERE business_day < ? AND state IN (SELECT value FROM carray(?))
ORDER BY business_day DESC LIMIT ?;

-- name: act
-- Find what was done under a key. Primary key.
SELECT * FROM acts WHERE key = ?;

-- name: insert_act
-- Record what somebody did.
INSERT INTO acts VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: enter_closing
-- Enter a closing, or how far it is. Primary key.
INSERT INTO closings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (business_day) DO UPDATE SET state = excluded.state, ended_us = excluded.ended_us,
    done_id = excluded.done_id, holder = excluded.holder, lease_us = excluded.lease_us, accounts = excluded.accounts,
    lines = excluded.lines, incident = excluded.incident, closed_us = excluded.closed_us,
    making_good_by = excluded.making_good_by, making_good_us = excluded.making_good_us;

-- name: enter_discrepancy
-- Enter an account for which a day does not add up, or the decision that made it good. Primary key.
INSERT INTO discrepancies VALUES (?, ?, ?, ?, ?)
ON CONFLICT (business_day, account_id, kind) DO UPDATE SET decision = excluded.decision;

-- name: discrepancies
-- Read a day's discrepancies in order, from after an account. Primary key.
SELECT * FROM discrepancies WHERE business_day = ? AND account_id > ? ORDER BY account_id, kind LIMIT ?;

-- name: discrepancies_of_account
-- Read an account's discrepancies, newest day first. Index discrepancies_of_account.
SELECT * FROM discrepancies WHERE account_id = ? ORDER BY business_day DESC, kind LIMIT ?;

-- name: discrepancy_count
-- Count a day's discrepancies by kind, and those made good. Primary key.
SELECT kind, count(*), sum(decision > 0) FROM discrepancies WHERE business_day = ? GROUP BY kind;

-- name: enter_case
-- Enter a case, or what became of it. Primary key.
INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET state = excluded.state, proposed_minor = excluded.proposed_minor,
    proposed_by = excluded.proposed_by, resolved_by = excluded.resolved_by, resolved_us = excluded.resolved_us,
    note = excluded.note, result = excluded.result
RETURNING number;

-- name: case
-- Find one case. Primary key.
SELECT * FROM cases WHERE number = ?;

-- name: case_of_decision
-- Find the case that appeals a decision. Unique index on decision.
SELECT * FROM cases WHERE decision = ?;

-- name: cases_of_account
-- Read an account's cases, newest first. Index cases_of_account.
SELECT * FROM cases WHERE account_id = ? AND number < ? ORDER BY number DESC LIMIT ?;

-- name: cases_of_states
-- Read cases of some states that are due before a time, newest first. Walks back the primary key.
SELECT * FROM cases WHERE state IN (SELECT value FROM carray(?)) AND due_us < ? AND number < ?
ORDER BY number DESC LIMIT ?;

-- name: cases_of_account_and_states
-- Read an account's cases of some states that are due before a time, newest first. Index cases_of_account.
SELECT * FROM cases WHERE account_id = ? AND state IN (SELECT value FROM carray(?)) AND due_us < ? AND number < ?
ORDER BY number DESC LIMIT ?;

-- name: case_change
-- Find the change that a key stands for. Primary key.
SELECT * FROM case_changes WHERE key = ?;

-- name: insert_case_change
-- Record a change.
INSERT INTO case_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: case_changes_of
-- Read what people said on a case, oldest first. Index case_changes_of_case.
SELECT * FROM case_changes WHERE number = ? AND action NOT LIKE 'submit%'
ORDER BY changed_us, key LIMIT ? OFFSET ?;

-- name: insert_voice
-- Enter what a customer said.
INSERT INTO voices (key, fingerprint, kind, account_id, decision, product, policy_version, reasons, category, score,
    text, said_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING number;

-- name: voice
-- Find what a key stands for. Unique index on key.
SELECT * FROM voices WHERE key = ?;

-- name: voices_after
-- Read what customers said after a number, oldest first. Primary key.
SELECT * FROM voices WHERE number > ? ORDER BY number LIMIT ?;

-- name: voices_since
-- Read what customers said since a time, newest first. Index voices_said.
SELECT * FROM voices WHERE said_us >= ? ORDER BY said_us DESC LIMIT ?;

-- name: clock
-- Read confirmed time as it was last kept. Primary key.
SELECT time_us, elapsed_us, boot, owed_us, rest, ahead_us, since_us, is_rebooted, jumps, seal FROM clock WHERE one = 1;

-- name: keep_clock
-- Keep confirmed time.
INSERT OR REPLACE INTO clock (one, time_us, elapsed_us, boot, owed_us, rest, ahead_us, since_us, is_rebooted, jumps,
    seal)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: clock_change
-- Find the word on the clock that a key stands for. Primary key.
SELECT key, fingerprint, caller, reason, ahead_us, changed_us FROM clock_changes WHERE key = ?;

-- name: insert_clock_change
-- Record a person's word on the clock.
INSERT INTO clock_changes (key, fingerprint, caller, reason, ahead_us, changed_us) VALUES (?, ?, ?, ?, ?, ?);

-- name: enter_seal
-- Enter a table's seal. Primary key.
INSERT INTO seals (name, count, total) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET count = excluded.count, total = excluded.total;
