-- name: enter_entitlement
-- Settle a promise; what was granted stays granted, and a second grant on one day adds up. Primary key.
INSERT INTO entitlements (account_id, business_day, state, reason, promised_minor, granted_minor, policy_version,
    segment, decision, waiting_since)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, business_day) DO UPDATE SET
    state = excluded.state, reason = excluded.reason, promised_minor = max(promised_minor, excluded.promised_minor),
    granted_minor = granted_minor + excluded.granted_minor, policy_version = excluded.policy_version,
    segment = excluded.segment, decision = excluded.decision, waiting_since = excluded.waiting_since
WHERE excluded.state <= state;

-- name: entitlement
-- Find one entitlement. Primary key.
SELECT account_id, business_day, state, reason, promised_minor, granted_minor, policy_version, segment, decision,
    waiting_since
FROM entitlements WHERE account_id = ? AND business_day = ?;

-- name: entitlements_founded
-- Read promises with the records of their decisions, where there are any. Primary keys.
SELECT entitlements.account_id, entitlements.business_day, decisions.record FROM entitlements
LEFT JOIN decisions ON decisions.number = entitlements.decision;

-- name: entitlements
-- Read an account's entitlements, newest first, from before a day. Primary key.
SELECT account_id, business_day, state, reason, promised_minor, granted_minor, policy_version, segment, decision,
    waiting_since
FROM entitlements WHERE account_id = ? AND business_day < ? ORDER BY business_day DESC LIMIT ?;

-- name: waiting_day
-- Give the newest day before a day on which somebody was withheld for the budget. Index entitlements_waiting.
SELECT coalesce(max(business_day), 0) FROM entitlements WHERE waiting_since > 0 AND business_day < ?;

-- name: waiting
-- Read who waits since a day's end, in turn, from after a place in it. Index entitlements_waiting.
SELECT account_id, waiting_since, decision FROM entitlements
WHERE business_day = ? AND waiting_since > 0 AND (waiting_since, decision) > (?, ?)
ORDER BY waiting_since, decision LIMIT ?;
