-- What people and schedulers did to runs, closings and messages: what a key stands for, by whom and why. And the two
-- ends that a closing has, of itself and of what it made good; and what was said at each change of a case.

-- "caller/request_id" to what was done; never purged. Where it is about messages, `business_day` is 0 and `touched` says how
-- many were changed.
CREATE TABLE acts (
    key          TEXT    NOT NULL PRIMARY KEY,
    fingerprint  BLOB    NOT NULL,
    action       TEXT    NOT NULL,
    caller       TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    business_day INTEGER NOT NULL,
    touched      INTEGER NOT NULL,
    changed_us   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When the closing itself ended, and who had it made good since when; 0 and empty where that was not kept.
ALTER TABLE closings ADD COLUMN closed_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE closings ADD COLUMN making_good_by TEXT NOT NULL DEFAULT '';
ALTER TABLE closings ADD COLUMN making_good_us INTEGER NOT NULL DEFAULT 0;
UPDATE closings SET closed_us = ended_us WHERE state = 2;

-- What a person said with a change, and the limit that they gave or wanted, 0 for none.
ALTER TABLE case_changes ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE case_changes ADD COLUMN limit_minor INTEGER NOT NULL DEFAULT 0;
CREATE INDEX case_changes_of_case ON case_changes (number, changed_us);

-- A case keeps its newest note only, so of changes before this one the newest has it.
UPDATE case_changes SET
    note = (SELECT cases.note FROM cases WHERE cases.number = case_changes.number),
    limit_minor = coalesce(CASE action
        WHEN 'awaiting_second' THEN (SELECT proposed_minor FROM cases WHERE cases.number = case_changes.number)
        ELSE (SELECT decisions.new_limit_minor FROM cases
            JOIN decisions ON decisions.number = cases.result WHERE cases.number = case_changes.number)
        END, 0)
WHERE action IN ('awaiting_second', 'upheld', 'overturned', 'settle') AND changed_us = (
    SELECT max(others.changed_us) FROM case_changes AS others WHERE others.number = case_changes.number
);
