"""Guards of the service itself: the share of answers that failed, and how long commits take, from the engine's counts.

Promises alarms by the same statistics as for decisions: failures against one in a thousand, slow seconds (commits three
times slower than usual) against one in twenty.
"""

from typing import Final

from service.engine.desks.reports import Pulse
from service.sentry.guards import PARTS, Signal, alarm_since
from service.sentry.statistics import Cusum

ERRORS_NORMAL: Final = 0.005
SLOW_NORMAL: Final = 0.05
SLOW_TIMES: Final = 3
USUAL_SHARE: Final = 0.01
"""How fast the usual commit time follows: about a hundred reports."""


class PulseGuards:
    """Watches errors and latency."""

    def __init__(self) -> None:
        self._before = Pulse(0, 0, 0, 0)
        self._errors = Cusum(ERRORS_NORMAL)
        self._slow = Cusum(SLOW_NORMAL)
        self._usual_us = 0.0
        self._since = [0, 0]
        self._seen = [0, 0]

    def signals(self, pulse: Pulse, now_us: int) -> list[Signal]:
        """Take a pulse into account and give what is seen."""
        before = self._before if pulse.answers >= self._before.answers else Pulse(0, 0, 0, 0)
        self._before = pulse
        answers, failures = pulse.answers - before.answers, pulse.failures - before.failures
        commits, commit_us = pulse.commits - before.commits, pulse.commit_us - before.commit_us
        if answers:
            self._errors.add(failures, answers - failures)
            self._seen[0] = failures * PARTS // answers
        if commits:
            mean_us = commit_us / commits
            usual_us = self._usual_us or mean_us
            self._slow.add(int(mean_us > SLOW_TIMES * usual_us), int(mean_us <= SLOW_TIMES * usual_us))
            self._usual_us = usual_us + (min(mean_us, SLOW_TIMES * usual_us) - usual_us) * USUAL_SHARE
            self._seen[1] = int(mean_us)
        shares = (self._errors.share, self._slow.share)
        self._since = [alarm_since(since, share, now_us) for since, share in zip(self._since, shares, strict=True)]
        normal = (int(ERRORS_NORMAL * PARTS), int(self._usual_us))
        return [
            Signal(
                name, "", self._seen[place], normal[place], shares[place], self._since[place] > 0, self._since[place], 0
            )
            for place, name in enumerate(("error_rate", "latency"))
        ]
