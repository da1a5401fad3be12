"""One piece at a time."""
