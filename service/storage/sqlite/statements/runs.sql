-- name: run
-- Find a day's run. Primary key.
SELECT business_day, state, started_by, started_us, ended_us, accounts, cursor, is_cut
FROM runs WHERE business_day = ?;

-- name: runs_open
-- Read the runs that are not over: few.
SELECT business_day, state, started_by, started_us, ended_us, accounts, cursor, is_cut
FROM runs WHERE state = 1 ORDER BY business_day;

-- name: runs_of_states
-- Read runs of some states, newest first. Walks back the primary key.
SELECT business_day, state, started_by, started_us, ended_us, accounts, cursor, is_cut
FROM runs WHERE business_day < ? AND state IN (SELECT value FROM carray(?))
ORDER BY business_day DESC LIMIT ?;

-- name: enter_run
-- Enter a run, or what became of it. Primary key.
INSERT INTO runs (business_day, state, started_by, started_us, ended_us, accounts, cursor, is_cut)
VALUES (:business_day, :state, :started_by, :started_us, :ended_us, :accounts, :cursor, :is_cut)
ON CONFLICT (business_day) DO UPDATE SET state = excluded.state, ended_us = excluded.ended_us,
    accounts = excluded.accounts, cursor = excluded.cursor, is_cut = excluded.is_cut;

-- name: passed
-- Add up what the newest runs have come to. Primary keys.
SELECT runs.business_day, runs.state, runs.ended_us, coalesce(sum(run_shards.looked - run_shards.without_limit), 0) AS looked,
    coalesce(sum(run_shards.granted), 0) AS granted, coalesce(sum(run_shards.waiting), 0) AS waiting
FROM (SELECT business_day, state, ended_us FROM runs ORDER BY business_day DESC LIMIT ?) AS runs
LEFT JOIN run_shards ON run_shards.business_day = runs.business_day
GROUP BY runs.business_day ORDER BY runs.business_day DESC;

-- name: shards
-- Read a run's shards in order. Primary key.
SELECT business_day, shard, after_id, upto_id, done_id, holder, lease_us, looked, granted, withheld, done_us,
    begun_us, waiting, without_limit
FROM run_shards WHERE business_day = ? ORDER BY shard;

-- name: shard
-- Find one shard. Primary key.
SELECT business_day, shard, after_id, upto_id, done_id, holder, lease_us, looked, granted, withheld, done_us,
    begun_us, waiting, without_limit
FROM run_shards WHERE business_day = ? AND shard = ?;

-- name: enter_shard
-- Enter a shard, or how far it is. Primary key.
INSERT INTO run_shards (business_day, shard, after_id, upto_id, done_id, holder, lease_us, looked, granted, withheld,
    done_us, begun_us, waiting, without_limit)
VALUES (:business_day, :shard, :after_id, :upto_id, :done_id, :holder, :lease_us, :looked, :granted, :withheld,
    :done_us, :begun_us, :waiting, :without_limit)
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
INSERT INTO budget_slices (product, business_day, holder, taken_minor, raised_minor)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (product, business_day, holder) DO UPDATE SET taken_minor = excluded.taken_minor,
    raised_minor = excluded.raised_minor;

-- name: act
-- Find what was done under a key. Primary key.
SELECT key, fingerprint, action, caller, reason, business_day, touched, changed_us
FROM acts WHERE key = ?;

-- name: insert_act
-- Record what somebody did.
INSERT INTO acts (key, fingerprint, action, caller, reason, business_day, touched, changed_us)
VALUES (:key, :fingerprint, :action, :caller, :reason, :business_day, :touched, :changed_us);
