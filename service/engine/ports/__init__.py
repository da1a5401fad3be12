"""What the engine needs of others, a part a file."""
