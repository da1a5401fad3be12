"""Callers that share none of our stubs."""
