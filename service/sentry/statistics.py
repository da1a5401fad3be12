"""Sequential statistics of the guards, with a stated rate of false alarms.

A rate is watched by a Bernoulli CUSUM (E. S. Page, 1954; M. R. Reynolds and Z. G. Stoumbos, 1999): an observation adds
its log-likelihood ratio of the doubled rate against the normal one, never below zero, and the alarm is at h. The mean
number of observations to a false alarm is about e^h / (I z^2), where I is the mean step under the doubled rate and
z <= 1 corrects the overshoot (Tartakovsky, Nikiforov, Basseville: Sequential Analysis, 2014, 8.2), so h follows
from the alarms that we allow; the tests check it by simulation. Detection takes about h / I observations, close to the
least that any test with as few false alarms can take (G. Lorden, 1971).
A distribution is watched by the population stability index over windows. Promises pure arithmetic: no clock, no I/O.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

MONTH_DECISIONS: Final = 30 * 86_400 * 1_000
"""A month at 1,000 decisions a second."""
STREAMS: Final = 5
"""Rates watched a product; together they raise at most one false alarm a month."""
RATE_LEAST: Final = 0.005
"""A normal rate below is taken as this, so that a handful of events is no alarm."""
RATE_MOST: Final = 0.95
"""A normal rate above has no room to rise and is not watched; the rate of its opposite is."""
CONFIDENCE_Z: Final = 1.645
"""One-sided 95 %: a learned rate is taken at its upper bound, so that an unlucky sample alarms later, not sooner."""

WINDOW: Final = 500
"""Observations a window of the population stability index."""
PSI_ALARM: Final = 0.25
"""The field's "major shift". On stationary windows of 500 over at most 12 bins the index is about chi-squared with
11 degrees of freedom over 500: beyond 0.25 with a probability below 1e-20."""
SHAPE_COUNT_LEAST: Final = WINDOW
"""A kind's distribution learned from fewer observations is not watched: with as many, the index of a stationary window
is about chi-squared with 11 degrees of freedom over 250, beyond 0.25 with a probability below 1e-8."""
BINS: Final = 10
SHARE_LEAST: Final = 0.02
"""No bin is taken to be rarer than this, so that one odd value is no alarm."""
RECOVERED: Final = 0.5
"""An alarm is over once the statistic has fallen to this share of its threshold (hysteresis)."""


class Cusum:
    """Watches one rate for a rise."""

    def __init__(self, normal: float, *, halves: bool = False) -> None:
        """Watch for a doubling of a normal rate (0 to `RATE_MOST`); above one half, for halving the distance to 1.

        With `halves` it is the latter for any rate below 1: that the opposite's falls to half.
        """
        assert normal < 1 if halves else normal <= RATE_MOST
        low = max(normal, RATE_LEAST)
        high = (1 + low) / 2 if halves else min(2 * low, (1 + low) / 2)
        self._hit = math.log(high / low)
        self._miss = math.log((1 - high) / (1 - low))
        self.threshold = math.log(MONTH_DECISIONS * STREAMS * (high * self._hit + (1 - high) * self._miss))
        self.level = 0.0

    def add(self, hits: int, misses: int) -> None:
        """Add observations; a group counts at once, which alarms later than one by one, never sooner."""
        # Beyond the threshold there is nothing to learn, and a bound lets the alarm end in bounded time.
        self.level = min(max(self.level + hits * self._hit + misses * self._miss, 0.0), 2 * self.threshold)

    @property
    def share(self) -> float:
        """The level as a share of the threshold; 1 and more alarms."""
        return self.level / self.threshold


def upper_bound(hits: int, count: int) -> float:
    """Give the upper confidence bound of a rate (normal approximation)."""
    if not count:
        return 1.0
    rate = hits / count
    return min(rate + CONFIDENCE_Z * math.sqrt(max(rate * (1 - rate), 1 / count) / count), 1.0)


class Shape(NamedTuple):
    """A distribution by kind: bins parted at bounds (a bound opens its bin), missing values first, counted by kind."""

    bounds: tuple[int, ...]
    found: dict[int, list[int]]


def shape(values: Mapping[int, Sequence[int | None]]) -> Shape:
    """Count samples by kind, all in the same bins."""
    bounds = edges([value for of_kind in values.values() for value in of_kind])
    return Shape(bounds, {kind: counts(of_kind, bounds) for kind, of_kind in values.items()})


def expected(normal: Shape, kinds: Mapping[int, int]) -> list[float]:
    """Give what so many values of each kind are expected to count by bin; every kind must be one of the shape's."""
    shares = [(many, normal.found[kind], sum(normal.found[kind])) for kind, many in kinds.items()]
    return [
        sum(many * found[place] / whole for many, found, whole in shares) for place in range(len(normal.bounds) + 2)
    ]


def edges(values: Sequence[int | None]) -> tuple[int, ...]:
    """Part a sample into bins of about equal shares, with bins of their own for the least value and for new highs.

    Without those two a fact that is nearly always the same, such as days past due, would be one bin and never drift.
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return ()
    parted = {known[len(known) * part // BINS] for part in range(1, BINS)}
    return tuple(sorted(parted - {known[0]} | {known[0] + 1, known[-1] + 1}))


def counts(values: Sequence[int | None], bounds: tuple[int, ...]) -> list[int]:
    """Count values by bin, missing ones first."""
    found = [0] * (len(bounds) + 2)
    for value in values:
        found[0 if value is None else 1 + bisect_right(bounds, value)] += 1
    return found


def _shares(found: Sequence[float]) -> tuple[float, ...]:
    whole = max(sum(found), 1)
    raised = [max(count / whole, SHARE_LEAST) for count in found]
    return tuple(share / sum(raised) for share in raised)


def stability_index(normal: Sequence[float], found: Sequence[int]) -> float:
    """Give the population stability index of bin counts against expected ones."""
    return sum((now - then) * math.log(now / then) for now, then in zip(_shares(found), _shares(normal), strict=True))
