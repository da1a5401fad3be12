"""Tests: what Holdline promises, and what tries to break it."""
