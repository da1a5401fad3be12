"""The guard of the daily run: raises that go missing, by whatever cause.

Promises an alarm when a run raises far fewer of the accounts that it passes than the runs before it did, whether the
rules promised less (a policy tightened, facts drifted) or what they promised was withheld. Whoever waits for the day's
budget is not missing. Other guards pass over the run's decisions, for only accounts that are due are decided there.
"""

from collections.abc import Sequence
from typing import Final

from service.domain.daily_run import Passed, RunState
from service.sentry.guards import MISSING_RAISES, PARTS, RATE_COUNT_LEAST, Signal
from service.sentry.statistics import Cusum, upper_bound

RUNS_COMPARED: Final = 7
"""With so many runs before it a run is compared: a week has its rhythm."""
RUNS_READ: Final = 12
"""Newest runs that are read: some may still run, or have been cancelled."""
RUNS_LEAST: Final = 3
MISSING_LEAST: Final = 0.1
"""A run that raises nearly everybody is taken to miss so many, else a tenth less would be an alarm."""
MISSING_MOST: Final = 0.999
"""Where fewer than one account in a thousand is raised, there is nothing to miss."""


def missing_raises(passed: Sequence[Passed]) -> list[Signal]:
    """Give the signal of the newest run that is done, from runs newest first; nothing where too few came before it.

    Normal is the second poorest of the runs before, so that neither one bad day nor a weekly low moves it. The
    statistic is the Cusum's for halving the share that is raised; a run counts whole, for ids follow the age of
    accounts, and the newest ones come last.
    """
    done = [one for one in passed if one.state is RunState.DONE and one.looked >= RATE_COUNT_LEAST]
    latest, earlier = done[:1], done[1 : RUNS_COMPARED + 1]
    if len(earlier) < RUNS_LEAST:
        return []
    normal = max(sorted(upper_bound(_missing(one), one.looked) for one in earlier)[-2], MISSING_LEAST)
    if normal > MISSING_MOST:
        return []
    (run,) = latest
    missing = _missing(run)
    cusum = Cusum(normal, halves=True)
    cusum.add(missing, run.looked - missing)
    is_alarming = cusum.share >= 1
    since_us = run.ended_us if is_alarming else 0
    value = missing * PARTS // run.looked
    return [Signal(MISSING_RAISES, "", value, int(normal * PARTS), cusum.share, is_alarming, since_us, 0)]


def _missing(run: Passed) -> int:
    return run.looked - run.granted - run.waiting
