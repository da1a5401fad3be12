"""Deterministic simulation: the engine under a seeded scheduler, with a clock, a disk and a network that misbehave."""
