-- The caller's own reference of a draw or repayment, and of a hold that of its authorisation; '' where none was sent.

ALTER TABLE postings ADD COLUMN reference TEXT NOT NULL DEFAULT '';
ALTER TABLE holds ADD COLUMN reference TEXT NOT NULL DEFAULT '';
