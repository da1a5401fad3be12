"""Schedules: when calls arrive, whatever the server does.

Promises intended starts in order, each fixed before the call before it is answered: what makes a loop open.
"""

import csv
import random
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from loadtests.scenario import Arrivals, Phase, Scenario

STEP_SECONDS_MAX: Final = 0.02
"""A rate is taken as constant for no longer than that."""


class Arrival(NamedTuple):
    """A call's intended start, in seconds from the start of the load, and its phase's place among the names."""

    at: float
    phase: int


def rate_of(phase: Phase) -> Callable[[float], float]:
    """Give a phase's rate (calls a second) by the time in it (seconds)."""
    peak, seconds = phase.per_second, phase.seconds
    if phase.arrivals is Arrivals.RAMP:
        return lambda at: phase.from_per_second + (peak - phase.from_per_second) * at / seconds
    if phase.arrivals is Arrivals.SPIKE:
        return lambda at: peak * (phase.factor if seconds / 3 <= at < seconds * 2 / 3 else 1)
    if phase.arrivals is Arrivals.RUSH:
        return lambda at: float(peak * 0.5 ** (at / phase.halves_seconds))
    if phase.arrivals is Arrivals.REPLAY:
        counts = recorded_day(phase.day)
        greatest = max(counts)
        return lambda at: peak * counts[min(int(at / seconds * len(counts)), len(counts) - 1)] / greatest
    return lambda _: peak


def recorded_day(name: str) -> list[float]:
    """Read a day's counts in equal slots: a file with a header and the columns slot and calls, or a shipped one."""
    if name.endswith(".csv"):
        text = Path(name).read_text(encoding="utf-8")
    else:
        text = resources.files("loadtests.scenarios").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    counts = [float(row["calls"]) for row in csv.DictReader(text.splitlines())]
    if not counts or max(counts) <= 0:
        raise ValueError(f"{name}: a recorded day needs calls")
    return counts


def written_day(times_us: list[int], span_us: int, slots: int) -> str:
    """Write the counts of the last stretch of some times (microseconds UTC) as a recorded day."""
    newest = max(times_us)
    counts = [0] * slots
    for at in times_us:
        slot = slots - 1 - (newest - at) * slots // span_us
        if slot >= 0:
            counts[slot] += 1
    return "slot,calls\n" + "".join(f"{slot},{count}\n" for slot, count in enumerate(counts))


def arrivals(scenario: Scenario, seed: int) -> Iterator[Arrival]:
    """Give every arrival of a scenario, in order.

    Evenly spaced for constant, ramp, spike and replay; by exponential gaps for poisson and rush.
    """
    rng = random.Random(seed)
    began = 0.0
    for phase in scenario.phases:
        number = scenario.names.index(phase.name)
        rate = rate_of(phase)
        is_random = phase.arrivals in (Arrivals.POISSON, Arrivals.RUSH)
        at, owed = 0.0, rng.expovariate(1) if is_random else 0.5
        while at < phase.seconds:
            # `owed` counts in expected arrivals, so that a rate may change between two of them.
            now = rate(at)
            step = min(owed / now if now > 0 else STEP_SECONDS_MAX, STEP_SECONDS_MAX)
            at += step
            owed -= step * now
            if owed <= 1e-9 and at < phase.seconds:
                yield Arrival(began + at, number)
                owed = rng.expovariate(1) if is_random else 1.0
        began += phase.seconds
