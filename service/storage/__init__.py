"""Stores: the only place that knows SQL.

Promises one behaviour for every store, proved by one conformance suite in `tests/conformance`.
"""
