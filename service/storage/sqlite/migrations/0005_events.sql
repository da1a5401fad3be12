-- Behaviour events: what they left of an account on the account, and each event by its id.

-- Msgpack (rows.py), empty before the first event.
ALTER TABLE accounts ADD COLUMN behaviour BLOB NOT NULL DEFAULT x'';

-- `key` is account id / event id, so an account's events lie together. Kept as long as an event of its age is taken;
-- no index by time, which would cost every event a page: the purge walks the keys in slices.
CREATE TABLE events (
    key         TEXT    NOT NULL PRIMARY KEY,
    fingerprint BLOB    NOT NULL,
    occurred_us INTEGER NOT NULL,
    caller      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
