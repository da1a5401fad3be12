"""What a generator counts: every call as its caller saw it, by phase and second.

Promises that each call is counted once, when it has ended for its caller, in the second in which it did.
"""

from collections import Counter
from typing import Any, Final

from hdrh.histogram import HdrHistogram

from loadtests.journal import Knowledge
from loadtests.scenario import Rpc
from loadtests.traffic import Asked

LATENCY_US_MAX: Final = 120_000_000
LATE_US: Final = 25_000
"""A call that its generator begins so much later than intended, though it had room for it, was begun late."""
NOT_SENT: Final = "14 NOT_SENT"
"""There was no connection to send it on."""
NO_ROOM: Final = "4 NO_ROOM"
"""It found no free stream in time, and its caller gave it up."""
_WORDS: Final = {told: told.name.lower() for told in Knowledge}


def histogram(digits: int = 3) -> HdrHistogram:
    """Make a histogram of microseconds."""
    return HdrHistogram(1, LATENCY_US_MAX, digits)


def recordable_us(seconds: float) -> int:
    """Give a time as whole microseconds that a histogram takes."""
    return min(max(int(seconds * 1e6), 1), LATENCY_US_MAX)


class Call:
    """A call in the making: what is asked, since when, and how often it was tried. Times in seconds of the load."""

    __slots__ = ("asked", "attempts", "deadline", "intended", "is_duplicate", "phase", "rpc")

    def __init__(self, rpc: Rpc, intended: float, phase: int, asked: Asked | None = None) -> None:
        self.rpc = rpc
        self.asked = asked
        """The request, written when it is first sent: one that never finds room costs nothing."""
        self.intended = intended
        self.phase = phase
        self.attempts = 0
        self.deadline = 0.0
        self.is_duplicate = asked is not None


class Second:
    """What one second of the load saw: counts by word, and latencies of what ended with OK in it."""

    __slots__ = ("counts", "latencies")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.latencies = histogram(2)


class Tally:
    """Everything that is counted."""

    def __init__(self) -> None:
        self.latencies: dict[tuple[int, Rpc, Knowledge, bool], HdrHistogram] = {}
        """By phase, RPC, what the caller knows, and whether it is the hot account's."""
        self.statuses: Counter[tuple[int, Rpc, str]] = Counter()
        self.lag = histogram()
        self.begun = self.late = self.attempts = self.firsts = self.duplicates = self.replays = 0
        self.seconds: dict[int, Second] = {}

    def second(self, at: float) -> Second:
        """Give a second's counts."""
        number = max(int(at), 0)
        found = self.seconds.get(number)
        if found is None:
            found = self.seconds[number] = Second()
        return found

    def begin(self, lag_seconds: float) -> None:
        """Count a call that was begun though none waited for room, and how late that was."""
        lag_us = recordable_us(lag_seconds)
        self.lag.record_value(lag_us)
        self.begun += 1
        self.late += lag_us > LATE_US

    def end(self, call: Call, status: str, told: Knowledge, now: float) -> None:
        """Count a call that has ended for its caller."""
        latency_us = recordable_us(now - call.intended)
        key = call.phase, call.rpc, told, call.asked is not None and call.asked.is_hot
        found = self.latencies.get(key)
        if found is None:
            found = self.latencies[key] = histogram()
        found.record_value(latency_us)
        self.statuses[call.phase, call.rpc, status] += 1
        second = self.second(now)
        second.counts[_WORDS[told]] += 1
        if told is Knowledge.ACKNOWLEDGED:
            second.latencies.record_value(latency_us)

    def result(self) -> dict[str, Any]:
        """Write the tally as JSON: histograms in HdrHistogram's own encoding."""
        return {
            "latencies": [
                [phase, rpc, told.name, is_hot, found.encode().decode()]
                for (phase, rpc, told, is_hot), found in self.latencies.items()
            ],
            "statuses": [[*key, count] for key, count in self.statuses.items()],
            "lag": self.lag.encode().decode(),
            "begun": self.begun, "late": self.late, "attempts": self.attempts, "firsts": self.firsts,
            "duplicates": self.duplicates, "replays": self.replays,
        }  # fmt: skip
