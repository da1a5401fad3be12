-- Keys of writes that are neither decisions nor postings stand among the others: their number is the negative of the
-- microsecond at which they were entered, so no decision can be looked for under it, and the purge finds them.

CREATE INDEX idempotency_keys_beside ON idempotency_keys (number) WHERE number < 0;

-- A key that stood for two writes already stays with its decision.
INSERT OR IGNORE INTO idempotency_keys SELECT key, -max(changed_us, 1) FROM policy_changes;
INSERT OR IGNORE INTO idempotency_keys SELECT key, -max(changed_us, 1) FROM activation_changes;
INSERT OR IGNORE INTO idempotency_keys SELECT key, -max(said_us, 1) FROM voices;
INSERT OR IGNORE INTO idempotency_keys SELECT key, -max(changed_us, 1) FROM case_changes;
