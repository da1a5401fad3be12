"""Raises that vanish from one day's run to the next raise an alarm; what a lender's week does by itself does not."""

import pytest

from service.domain.daily_run import Passed, Run, RunState, Shard
from service.sentry.guards import MISSING_RAISES, Signal
from service.sentry.run_guard import RUNS_COMPARED, RUNS_LEAST, missing_raises
from service.storage.memory.store import MemoryStore
from tests.builders import DAY_US, NOW_US, TODAY, StillClock
from tests.sentries import Engine, sentry_of

ACCOUNTS = 20_000
USUAL = 1_000
"""Accounts that a usual run raises."""


def _runs(*granted: int, waiting: int = 0, accounts: int = ACCOUNTS) -> list[Passed]:
    """Give runs that are done, newest first, from how many each raised; so many wait after the newest."""
    return [
        Passed(TODAY - ago, RunState.DONE, NOW_US - ago * DAY_US, accounts, count, 0 if ago else waiting)
        for ago, count in enumerate(granted)
    ]


def _signal(runs: list[Passed]) -> Signal:
    (signal,) = missing_raises(runs)
    return signal


@pytest.mark.parametrize("granted", [0, 100, 500])
def test_a_run_that_raises_half_or_less_alarms_since_its_end(granted: int) -> None:
    signal = _signal(_runs(granted, *[USUAL] * RUNS_COMPARED))

    assert (signal.name, signal.product, signal.is_alarming) == (MISSING_RAISES, "", True)
    assert signal.value == (ACCOUNTS - granted) * 1_000_000 // ACCOUNTS
    assert signal.since_us == NOW_US
    assert signal.recommends == "hold_last_known_good"


@pytest.mark.parametrize("granted", [900, 1_000, 3_000, 20_000])
def test_a_run_about_as_good_or_better_does_not(granted: int) -> None:
    signal = _signal(_runs(granted, *[USUAL] * RUNS_COMPARED))

    assert (signal.is_alarming, signal.since_us) == (False, 0)


@pytest.mark.parametrize("usual", [400, 4_000, 12_000, 20_000])
def test_what_alarms_is_the_same_share_of_what_is_normal_however_much_that_is(usual: int) -> None:
    assert _signal(_runs(usual * 60 // 100, *[usual] * RUNS_COMPARED)).is_alarming
    assert not _signal(_runs(usual * 85 // 100, *[usual] * RUNS_COMPARED)).is_alarming


def test_whoever_waits_for_the_budget_is_not_missing() -> None:
    assert not _signal(_runs(50, *[USUAL] * 5, waiting=950)).is_alarming


def test_one_bad_day_and_a_weekly_low_do_not_move_what_is_normal() -> None:
    assert _signal(_runs(0, 0, *[USUAL] * 5)).is_alarming
    weekly_low = [USUAL, USUAL, 300, USUAL, USUAL, USUAL, 300]
    assert not _signal(_runs(300, *weekly_low)).is_alarming


def test_too_few_runs_or_accounts_or_raises_say_nothing() -> None:
    unfinished = [
        Passed(TODAY + 1, RunState.RUNNING, 0, ACCOUNTS, 0, 0),
        Passed(TODAY + 2, RunState.CANCELLED, 1, 9, 0, 0),
    ]

    assert missing_raises(_runs(0, *[USUAL] * (RUNS_LEAST - 1))) == []
    assert missing_raises([]) == []
    assert missing_raises(_runs(0, *[10] * 7, accounts=100)) == []
    assert missing_raises(_runs(0, *[5] * 7)) == []
    assert not _signal([*unfinished, *_runs(*[USUAL] * 8)]).is_alarming


def test_the_sentry_tells_of_vanished_raises_once() -> None:
    store, engine = MemoryStore(StillClock().now_us), Engine()
    sentry = sentry_of(store, engine, 1_000)
    store.begin()
    for ago, granted in enumerate((100, *[USUAL] * 5)):
        day = TODAY - ago
        store.runs.enter_run(Run(day, RunState.DONE, "tests", 1, NOW_US - ago * DAY_US, ACCOUNTS, "~", True))
        for number in (1, 2):
            part = Shard(day, number, "", "~", "~", "", 0, ACCOUNTS // 2, granted // 2, 0, NOW_US)
            store.runs.enter_shard(part)
    store.commit()

    for _ in range(3):
        sentry.turn()

    (alarm,) = engine.alarms
    assert alarm.facts["signal"] == MISSING_RAISES
    assert alarm.facts["value_ppm"] == 995_000
