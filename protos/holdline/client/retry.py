"""When to try again: only what is safe, with full jitter, within a budget and the caller's deadline.

Promises at most `attempts_max` tries a call, the same request on each, never past the deadline, and over time at most
a tenth more calls than were asked for, so that clients don't drown a server that is coming back.
Source of the budget: Google, Site Reliability Engineering, ch. 21.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tenacity

from holdline.client.errors import DeadlineExceeded, HoldlineError, Unavailable

RESUME_SECONDS = 0.2
"""Pause before a broken stream is resumed."""
CONNECTED_SECONDS = 5.0


@dataclass
class Budget:
    """Tokens for retries: each call earns a share of one, each retry costs one. Safe between threads."""

    share: float = 0.1
    tokens_max: float = 10.0
    tokens: float = 10.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def earn(self) -> None:
        """Add a call's share."""
        with self._lock:
            self.tokens = min(self.tokens + self.share, self.tokens_max)

    def spend(self) -> bool:
        """Take a token for a retry; claims that there was one."""
        with self._lock:
            if self.tokens < 1.0:
                return False
            self.tokens -= 1.0
            return True


@dataclass(frozen=True)
class Retry:
    """How often and how long; seconds. `attempts_max` 1 turns retries off."""

    attempts_max: int = 5
    wait_seconds_first: float = 0.05
    wait_seconds_max: float = 2.0


def is_safe(error: BaseException) -> bool:
    """Claim that a retry with the same request id can only help."""
    return isinstance(error, Unavailable | DeadlineExceeded)


class Outage:
    """How long a stream that is resumed has been down; it is given up after so many seconds."""

    def __init__(self, seconds_max: float) -> None:
        self._seconds_max = seconds_max
        self._since = 0.0

    def end(self) -> None:
        """Take note that something was received."""
        self._since = 0.0

    def endure(self, error: HoldlineError, began: float, now: float) -> None:
        """Take note that a try failed (seconds of one clock); raises the error where resuming can't help any more."""
        # A try that lasted was a connection on which nothing changed.
        self._since = now if now - began > CONNECTED_SECONDS else self._since or now
        if not isinstance(error, Unavailable) or now - self._since > self._seconds_max:
            raise error


def arguments(
    retry: Retry, budget: Budget, remaining_seconds: Callable[[], float], rng: random.Random
) -> dict[str, Any]:
    """Give tenacity's arguments for one call; synchronous and asynchronous retrying take the same."""

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, HoldlineError) else 0.0
        ceiling = min(retry.wait_seconds_first * 2 ** (state.attempt_number - 1), retry.wait_seconds_max)
        return asked + rng.uniform(0.0, ceiling)

    def stop(state: tenacity.RetryCallState) -> bool:
        if state.attempt_number >= retry.attempts_max or state.upcoming_sleep >= remaining_seconds():
            return True
        return not budget.spend()

    return {
        "wait": wait,
        "stop": stop,
        "retry": tenacity.retry_if_exception(is_safe),
        "reraise": True,
    }
