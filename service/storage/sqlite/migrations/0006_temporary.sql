-- Temporary raises: what is in force on the account, and what a decision was asked for and left in force.

-- Msgpack (rows.py), empty where there is none.
ALTER TABLE accounts ADD COLUMN temporary BLOB NOT NULL DEFAULT x'';
ALTER TABLE decisions ADD COLUMN temporary BLOB NOT NULL DEFAULT x'';
