-- Notices in the outbox: whose they are and what they are about. Their text is made of the record when they leave.

ALTER TABLE outbox ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
-- Number of the decision or posting; 0 for alerts.
ALTER TABLE outbox ADD COLUMN record INTEGER NOT NULL DEFAULT 0;

DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (topic, due_us) WHERE state = 0;
-- Numbers grow, so new entries go to the right edge.
CREATE INDEX outbox_records ON outbox (record) WHERE record > 0;
-- What failed holds back what follows on the same account.
CREATE INDEX outbox_failing ON outbox (account_id, sequence) WHERE state = 0 AND attempts > 0;
-- Announced ends of temporary raises, which a new raise or a cut takes back.
CREATE INDEX outbox_endings ON outbox (account_id) WHERE body = 'temporary_ends' AND state = 0;
