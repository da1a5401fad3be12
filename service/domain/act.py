"""What people and schedulers do to runs, closings and messages: who did what, why, and the key that stands for it."""

from typing import NamedTuple


class Act(NamedTuple):
    """One write beside decisions, as its key stands for it; never purged."""

    key: str
    """Caller and request id."""
    fingerprint: bytes
    """16 bytes that stand for the request's meaning."""
    action: str
    caller: str
    reason: str
    """Why, at most 500 characters; empty where nobody is asked for one."""
    business_day: int
    """Days since 1970-01-01; 0 where it is about messages."""
    touched: int
    """With messages: how many it changed; 0 otherwise."""
    changed_us: int
    """Microseconds since the epoch UTC."""
