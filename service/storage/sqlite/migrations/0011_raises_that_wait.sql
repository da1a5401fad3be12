-- How many of the withheld wait for the day's budget: their raise is put off, not missing.
ALTER TABLE run_shards ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;
