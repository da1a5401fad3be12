"""Guards and the kinds of decisions: a baseline is learned from what is asked for, kind by kind, and judges the same."""

import json
import random

import pytest

from service.domain import watch
from service.domain.decision import Kind
from service.domain.entitlement import RUN_CALLER
from service.domain.facts import NOTHING_KNOWN, merge
from service.domain.watch import Baseline, Look
from service.sentry.guards import Guards
from service.sentry.statistics import (
    SHAPE_COUNT_LEAST,
)
from tests.builders import NOW_US, news
from tests.unit.test_guards import _alarm_after, _learned, _looks, _score


def _of_kind(kind: Kind, count: int, seed: int, *, caller: str = "shop", shift: int = 0) -> list[Look]:
    """Draw decisions of one kind as guards see them: a first limit knows of no payments, and a cut has no score."""
    if not watch.is_asked(kind, caller):
        return [watch.look_beside(number, "revolving", kind, 1_000, NOW_US + number) for number in range(1, count + 1)]
    rng = random.Random(seed)
    drawn = []
    for number in range(1, count + 1):
        score = _score(rng) + shift
        streak = 0 if kind is Kind.ASSIGN else rng.randrange(24)
        known = merge(NOTHING_KNOWN, news(bureau_score=score, on_time_streak_months=streak), NOW_US)
        points = () if kind is Kind.REDUCE else (score,)
        drawn.append(watch.look(number, "revolving", kind, 0, known, points, NOW_US + number, is_plain=True))
    return drawn


def _alarms(guards: Guards) -> set[str]:
    return {signal.name for signal in guards.signals() if signal.is_alarming}


@pytest.mark.parametrize("kind", [Kind.IMPORT, Kind.APPEAL])
def test_what_nobody_asks_for_is_no_part_of_a_baseline_and_is_not_judged_by_it(kind: Kind) -> None:
    beside, ordinary = _of_kind(kind, 20_000, seed=1), _of_kind(Kind.RAISE, 5_000, seed=2)
    guards = Guards({})

    learned = _learned("revolving", [*ordinary, *beside], 0, "tests")
    guards.learn([learned._replace(version=1)])
    guards.add(beside)
    guards.add(_of_kind(Kind.RAISE, 5_000, seed=3))

    assert learned.content == _learned("revolving", ordinary, 0, "tests").content
    assert learned.decisions == 5_000
    assert _alarms(guards) == set()
    assert _alarm_after(guards, _of_kind(Kind.RAISE, 1_000, seed=4, shift=-60), "fact_psi:bureau_score")


def test_a_baseline_of_nothing_but_an_import_judges_nothing_and_is_lacking() -> None:
    guards = Guards({})

    guards.learn([_learned("revolving", _of_kind(Kind.IMPORT, 20_000, seed=1), 0, "tests")._replace(version=1)])
    guards.add(_of_kind(Kind.RAISE, 5_000, seed=2))

    assert guards.lacks("revolving")
    assert _alarms(guards) == set()
    assert not [signal for signal in guards.signals() if "psi" in signal.name]


def test_the_daily_run_is_no_part_of_a_baseline() -> None:
    run = _of_kind(Kind.RAISE, 20_000, seed=1, caller=RUN_CALLER)

    assert _learned("revolving", run, 0, "tests").decisions == 0


def test_complaints_are_counted_beside_what_was_asked_for_alone() -> None:
    ordinary, imported = _of_kind(Kind.RAISE, 2_000, seed=1), _of_kind(Kind.IMPORT, 50_000, seed=2)
    with_import, without = (_learned("revolving", looks, 20, "tests") for looks in ([*imported, *ordinary], ordinary))

    assert json.loads(with_import.content)["rates"]["complaint_rate"] == [20, 2_020]
    assert with_import.content == without.content


@pytest.mark.parametrize(
    ("learned", "seen"),
    [
        ((Kind.ASSIGN,), (Kind.RAISE,)),
        ((Kind.RAISE,), (Kind.REVIEW, Kind.TEMPORARY)),
        ((Kind.REDUCE,), (Kind.RAISE,)),
        ((Kind.ASSIGN, Kind.RAISE), (Kind.ASSIGN,)),
        ((Kind.ASSIGN, Kind.RAISE), (Kind.RAISE,)),
    ],
    ids=["first raises", "first reviews", "first scores", "more first limits", "more raises"],
)
def test_another_mix_of_kinds_is_no_drift(learned: tuple[Kind, ...], seen: tuple[Kind, ...]) -> None:
    guards = Guards({})
    baseline = [look for kind in learned for look in _of_kind(kind, 5_000, seed=int(kind))]
    guards.learn([_learned("revolving", baseline, 0, "tests")._replace(version=1)])

    guards.add([look for kind in seen for look in _of_kind(kind, 3_000, seed=50 + int(kind))])

    assert _alarms(guards) == set()


def test_a_drift_of_one_kind_among_others_alarms() -> None:
    guards = Guards({})
    baseline = [look for kind in (Kind.ASSIGN, Kind.RAISE) for look in _of_kind(kind, 5_000, seed=int(kind))]
    guards.learn([_learned("revolving", baseline, 0, "tests")._replace(version=1)])
    raises, firsts = _of_kind(Kind.RAISE, 1_000, seed=7, shift=-90), _of_kind(Kind.ASSIGN, 500, seed=8)

    mixed = [
        look for place, raised in enumerate(raises) for look in (raised, *firsts[place // 2 : place // 2 + place % 2])
    ]

    assert _alarm_after(guards, mixed, "fact_psi:bureau_score")
    assert _alarm_after(guards, mixed, "score_psi")


def test_a_kind_that_was_hardly_seen_is_not_judged_and_lacking_once_it_comes_in_often() -> None:
    guards = Guards({})
    baseline = [*_looks(20_000, seed=1), *_of_kind(Kind.TEMPORARY, SHAPE_COUNT_LEAST - 1, seed=2)]
    guards.learn([_learned("revolving", baseline, 0, "tests")._replace(version=1)])
    assert not guards.lacks("revolving")

    guards.add(_of_kind(Kind.TEMPORARY, SHAPE_COUNT_LEAST - 1, seed=3, shift=-60))
    before = guards.lacks("revolving")
    guards.add(_of_kind(Kind.TEMPORARY, 1, seed=4))

    assert _alarms(guards) == set()
    assert (before, guards.lacks("revolving")) == (False, True)


def test_a_baseline_of_before_kinds_were_told_apart_watches_its_rates_and_is_lacking() -> None:
    content = json.loads(_learned("revolving", _looks(20_000, seed=1), 0, "tests").content)
    content["shapes"] = {"score_psi": [[300], [0.1, 0.1, 0.8]]}
    del content["by_kind"]
    guards = Guards({})

    guards.learn([Baseline(1, "revolving", 0, 20_000, "tests", json.dumps(content))])
    guards.add(_looks(2_000, seed=2))

    assert guards.lacks("revolving")
    assert {"cut_rate", "raise_rate"} <= {signal.name for signal in guards.signals()}
    assert not [signal for signal in guards.signals() if "psi" in signal.name]
