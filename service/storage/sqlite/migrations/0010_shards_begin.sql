-- When a shard was begun: what changed of an account since then may have changed after the run had passed it.
ALTER TABLE run_shards ADD COLUMN begun_us INTEGER NOT NULL DEFAULT 0;
