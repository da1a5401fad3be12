"""The store in memory, for tests: the same promises, but for durability."""
