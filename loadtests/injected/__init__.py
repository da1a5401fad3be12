"""Faults that load tests put into an engine."""
