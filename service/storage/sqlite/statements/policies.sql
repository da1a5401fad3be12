-- name: control
-- Read what every batch reads first. Primary keys; max(number) is the right edge of a table.
SELECT generation, max((SELECT coalesce(max(number), 0) FROM decisions), (SELECT coalesce(max(number), 0) FROM postings))
FROM control WHERE one = 1;

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
INSERT INTO policies (version, product, currency, content_hash, document, state, published_by, published_us,
    activated_us)
VALUES (:version, :product, :currency, :content_hash, :document, :state, :published_by, :published_us, :activated_us)
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
VALUES (:key, :fingerprint, :action, :version, :product, :previous_version, :caller, :reason, :changed_us) RETURNING sequence;

-- name: next_generation
-- Tell every engine that the policies changed.
UPDATE control SET generation = generation + 1 WHERE one = 1;
