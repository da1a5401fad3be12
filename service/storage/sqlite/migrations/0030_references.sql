-- The caller's own reference of a draw or repayment, and of a hold that of its authorisation; '' where none was sent.
-- What a temporary raise added to a posting's limit; 0 in records of before, which don't tell.

ALTER TABLE postings ADD COLUMN reference TEXT NOT NULL DEFAULT '';
ALTER TABLE postings ADD COLUMN extra_minor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holds ADD COLUMN reference TEXT NOT NULL DEFAULT '';
