-- Decisions say by which version of the rules of judging they were made (domain/rules.py); those from before, by the first.

ALTER TABLE decisions ADD COLUMN rules INTEGER NOT NULL DEFAULT 1;
