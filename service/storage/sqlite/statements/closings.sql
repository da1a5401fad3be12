-- name: closing
-- Find how a day was closed. Primary key.
SELECT business_day, state, asked_by, asked_us, ended_us, done_id, holder, lease_us, accounts, lines, incident,
    closed_us, making_good_by, making_good_us
FROM closings WHERE business_day = ?;

-- name: closings_open
-- Read the closings that are not over: few.
SELECT business_day, state, asked_by, asked_us, ended_us, done_id, holder, lease_us, accounts, lines, incident,
    closed_us, making_good_by, making_good_us
FROM closings WHERE state IN (1, 3) ORDER BY business_day;

-- name: closings_of_states
-- Read closings of some states, newest first. Walks back the primary key.
SELECT business_day, state, asked_by, asked_us, ended_us, done_id, holder, lease_us, accounts, lines, incident,
    closed_us, making_good_by, making_good_us
FROM closings WHERE business_day < ? AND state IN (SELECT value FROM carray(?))
ORDER BY business_day DESC LIMIT ?;

-- name: enter_closing
-- Enter a closing, or how far it is. Primary key.
INSERT INTO closings (business_day, state, asked_by, asked_us, ended_us, done_id, holder, lease_us, accounts, lines,
    incident, closed_us, making_good_by, making_good_us)
VALUES (:business_day, :state, :asked_by, :asked_us, :ended_us, :done_id, :holder, :lease_us, :accounts, :lines,
    :incident, :closed_us, :making_good_by, :making_good_us)
ON CONFLICT (business_day) DO UPDATE SET state = excluded.state, ended_us = excluded.ended_us,
    done_id = excluded.done_id, holder = excluded.holder, lease_us = excluded.lease_us, accounts = excluded.accounts,
    lines = excluded.lines, incident = excluded.incident, closed_us = excluded.closed_us,
    making_good_by = excluded.making_good_by, making_good_us = excluded.making_good_us;

-- name: enter_discrepancy
-- Enter an account for which a day does not add up, or the decision that made it good. Primary key.
INSERT INTO discrepancies (business_day, account_id, kind, detail, decision)
VALUES (:business_day, :account_id, :kind, :detail, :decision)
ON CONFLICT (business_day, account_id, kind) DO UPDATE SET decision = excluded.decision;

-- name: discrepancies
-- Read a day's discrepancies in order, from after an account. Primary key.
SELECT business_day, account_id, kind, detail, decision
FROM discrepancies WHERE business_day = ? AND account_id > ? ORDER BY account_id, kind LIMIT ?;

-- name: discrepancies_of_account
-- Read an account's discrepancies, newest day first. Index discrepancies_of_account.
SELECT business_day, account_id, kind, detail, decision
FROM discrepancies WHERE account_id = ? ORDER BY business_day DESC, kind LIMIT ?;

-- name: discrepancy_count
-- Count a day's discrepancies by kind, and those made good. Primary key.
SELECT kind, count(*) AS accounts, sum(decision > 0) AS made_good FROM discrepancies WHERE business_day = ? GROUP BY kind;
