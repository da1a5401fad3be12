"""The contract of Holdline."""
