"""Desks: what callers ask of the engine beside decisions, one noun each."""
