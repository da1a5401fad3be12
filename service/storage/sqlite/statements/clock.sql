-- name: clock
-- Read confirmed time as it was last kept. Primary key.
SELECT time_us, elapsed_us, boot, owed_us, rest, ahead_us, since_us, is_rebooted, jumps, seal FROM clock WHERE one = 1;

-- name: keep_clock
-- Keep confirmed time.
INSERT OR REPLACE INTO clock (one, time_us, elapsed_us, boot, owed_us, rest, ahead_us, since_us, is_rebooted, jumps,
    seal)
VALUES (1, :time_us, :elapsed_us, :boot, :owed_us, :rest, :ahead_us, :since_us, :is_rebooted, :jumps, :seal);

-- name: clock_change
-- Find the word on the clock that a key stands for. Primary key.
SELECT key, fingerprint, caller, reason, ahead_us, changed_us FROM clock_changes WHERE key = ?;

-- name: insert_clock_change
-- Record a person's word on the clock.
INSERT INTO clock_changes (key, fingerprint, caller, reason, ahead_us, changed_us)
VALUES (:key, :fingerprint, :caller, :reason, :ahead_us, :changed_us);
