-- name: activations_open
-- Read the activations that may be in force after a time, by number. Index activations_open.
SELECT number, playbook, version, content_hash, parameters, scope, reason, incident, requested_by, requested_us,
    ttl_seconds, approvals_needed, approved_by AS approvals, is_break_glass, is_forced, from_us, until_us, ended_us,
    ended_by
FROM activations WHERE ended_us = 0 AND until_us > ? ORDER BY number;

-- name: activation
-- Find one activation. Primary key.
SELECT number, playbook, version, content_hash, parameters, scope, reason, incident, requested_by, requested_us,
    ttl_seconds, approvals_needed, approved_by AS approvals, is_break_glass, is_forced, from_us, until_us, ended_us,
    ended_by
FROM activations WHERE number = ?;

-- name: activations_newest
-- Read activations, newest first, from before a number. Primary key.
SELECT number, playbook, version, content_hash, parameters, scope, reason, incident, requested_by, requested_us,
    ttl_seconds, approvals_needed, approved_by AS approvals, is_break_glass, is_forced, from_us, until_us, ended_us,
    ended_by
FROM activations WHERE number < ? ORDER BY number DESC LIMIT ?;

-- name: next_activation
-- Give the number of the next activation; numbers are never used again.
SELECT coalesce(max(number), 0) + 1 FROM activations;

-- name: enter_activation
-- Enter an activation, or what became of it. Primary key.
INSERT INTO activations (number, playbook, version, content_hash, parameters, scope, reason, incident, requested_by,
    requested_us, ttl_seconds, approvals_needed, approved_by, is_break_glass, is_forced, from_us, until_us, ended_us,
    ended_by)
VALUES (:number, :playbook, :version, :content_hash, :parameters, :scope, :reason, :incident, :requested_by,
    :requested_us, :ttl_seconds, :approvals_needed, :approvals, :is_break_glass, :is_forced, :from_us, :until_us,
    :ended_us, :ended_by)
ON CONFLICT (number) DO UPDATE SET approved_by = excluded.approved_by, from_us = excluded.from_us,
    until_us = excluded.until_us, ended_us = excluded.ended_us, ended_by = excluded.ended_by;

-- name: activation_change
-- Find the change that a key stands for. Unique index on key.
SELECT sequence, key, fingerprint, action, number, caller, reason, changed_us
FROM activation_changes WHERE key = ?;

-- name: activation_changes
-- Read changes after a sequence, oldest first. Primary key.
SELECT sequence, key, fingerprint, action, number, caller, reason, changed_us
FROM activation_changes WHERE sequence > ? ORDER BY sequence LIMIT ?;

-- name: last_change
-- Give the newest change's sequence, 0 before the first. Right edge of the primary key.
SELECT coalesce(max(sequence), 0) FROM activation_changes;

-- name: insert_activation_change
-- Record a change.
INSERT INTO activation_changes (key, fingerprint, action, number, caller, reason, changed_us, after_decision)
VALUES (:key, :fingerprint, :action, :number, :caller, :reason, :changed_us,
    (SELECT coalesce(max(number), 0) FROM decisions));

-- name: engines
-- Read the engines seen since a time.
SELECT engine_id, build, policy_compiler, playbooks, seen_us
FROM engines WHERE seen_us >= ? ORDER BY engine_id;

-- name: enter_engine
-- Note that an engine was seen. Primary key.
INSERT INTO engines (engine_id, build, policy_compiler, playbooks, seen_us)
VALUES (:engine_id, :build, :policy_compiler, :playbooks, :seen_us)
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
INSERT INTO growth (currency, minute, raised_minor)
VALUES (?, ?, ?)
ON CONFLICT (currency, minute) DO UPDATE SET raised_minor = raised_minor + excluded.raised_minor;

-- name: forget_growth
-- Forget minutes that no window reaches.
DELETE FROM growth WHERE minute < ?;

-- name: insert_baseline
-- Keep a baseline.
INSERT INTO baselines (product, learned_us, decisions, learned_by, content, key, fingerprint, reason)
VALUES (:product, :learned_us, :decisions, :learned_by, :content, :key, :fingerprint, :reason);

-- name: baseline
-- Find the baseline that a key stands for. Partial unique index on key.
SELECT version, product, learned_us, decisions, learned_by, content, key, fingerprint, reason
FROM baselines WHERE key = ?1 AND key <> '';

-- name: baselines
-- Read the newest baseline of each product.
SELECT version, product, learned_us, decisions, learned_by, content, key, fingerprint, reason
FROM baselines WHERE version IN (SELECT max(version) FROM baselines GROUP BY product) ORDER BY product;
