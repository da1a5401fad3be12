"""Scenarios that come with Holdline, and recorded days."""
