"""Fixtures and Hypothesis profiles shared by all tests."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=50
)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Only tests of the daily run need workers, and ask for them.
os.environ.setdefault("HOLDLINE_RUN_WORKERS", "0")
