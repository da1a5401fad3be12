"""The capacity finder: the highest steady rate at which a server keeps its objectives, and how sure that is.

Promises the same server and mix for every rate tried, rates tried more than once where it matters, and a bracket: the
highest that held and the lowest that did not. Confidence is Clopper and Pearson's exact bound for so many of so many.
"""

import time
from collections.abc import Callable
from functools import partial
from math import comb
from pathlib import Path
from typing import Final, NamedTuple

from loadtests.conductor import calibrated, load, loaded
from loadtests.result import summed
from loadtests.scenario import Arrivals, Phase, Scenario

HALVINGS: Final = 5
CONFIRMATIONS: Final = 5
FAILURES_MAX: Final = 1
CONFIDENCE: Final = 0.9
SETTLE_SECONDS: Final = 1.0
OK_SHARE_MIN: Final = 0.999
STEP_BACK: Final = 0.9
"""A rate that is not confirmed gives way to so much of it."""


class Trial(NamedTuple):
    """One run at one rate: p99 of OK answers in milliseconds, share that ended with OK, and the verdict."""

    per_second: float
    p99_ms: float
    ok_share: float
    holds: bool


class Capacity(NamedTuple):
    """The highest rate that was confirmed, the lowest that failed, and every trial. Calls a second."""

    per_second: float
    failed_per_second: float
    confirmed: int
    trials: list[Trial]

    @property
    def holds_at_least(self) -> float:
        """With 90 % confidence a run at this rate keeps its objectives with at least this probability."""
        return lower_bound(self.confirmed, CONFIRMATIONS, CONFIDENCE)


def lower_bound(successes: int, runs: int, confidence: float) -> float:
    """Give Clopper and Pearson's one-sided lower bound of a share (Biometrika 1934), by halving."""
    if successes == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        share = (low + high) / 2
        # The chance of so many successes or more, were the share this.
        tail = sum(comb(runs, count) * share**count * (1 - share) ** (runs - count)
                   for count in range(successes, runs + 1))  # fmt: skip
        low, high = (share, high) if tail < 1 - confidence else (low, share)
    return low


def find(
    scenario: Scenario, target: str, p99_ms: float, seconds: float, watch: Callable[[Trial], None]
) -> Capacity:  # fmt: skip
    """Search the capacity of a server for a scenario's mix; `watch` sees each trial."""
    with loaded(scenario, target) as (listen, _, folder, _):
        greatest, _ = calibrated(scenario, listen, folder)
        trials: list[Trial] = []

        def holds(per_second: float) -> bool:
            caller = f"capacity-{int(time.time())}-{len(trials)}"
            trial = _trial(scenario, listen, folder, caller, per_second, p99_ms, seconds)
            trials.append(trial)
            watch(trial)
            time.sleep(SETTLE_SECONDS)
            return trial.holds

        low, high = 0.0, greatest * 1.2
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        confirmed = 0
        while low > 1:
            confirmed = _confirmed(partial(holds, low))
            if confirmed >= CONFIRMATIONS - FAILURES_MAX:
                break
            low, high = low * STEP_BACK, low
        return Capacity(low, high, confirmed, trials)


def _confirmed(holds: Callable[[], bool]) -> int:
    """Try so often, or until too many have failed; gives how many held."""
    held = failed = 0
    while held + failed < CONFIRMATIONS and failed <= FAILURES_MAX:
        if holds():
            held += 1
        else:
            failed += 1
    return held


def _trial(
    scenario: Scenario, listen: str, folder: Path, caller: str, per_second: float, p99_ms: float, seconds: float
) -> Trial:
    phase = Phase(name="steady", seconds=seconds, arrivals=Arrivals.POISSON, per_second=per_second)
    planned = scenario.model_copy(update={"phases": (phase,), "disturbances": (), "objectives": (), "closed_loop": 0})
    found = load(planned, listen, folder, caller, lambda _: None)
    good = summed(found["latencies"], lambda _, __, told, ___: told == "ACKNOWLEDGED")
    ended = sum(latencies.get_total_count() for latencies in found["latencies"].values())
    declined = summed(found["latencies"], lambda _, __, told, ___: told == "DECLINED").get_total_count()
    p99 = good.get_value_at_percentile(99) / 1e3 if good.get_total_count() else float("inf")
    ok_share = (good.get_total_count() + declined) / ended if ended else 0.0
    holds = p99 <= p99_ms and ok_share >= OK_SHARE_MIN and found["generator"]["kept_schedule"]
    return Trial(per_second, p99, ok_share, holds)
