"""Guards: what they take for normal, when they alarm, when they act, and what they leave to people.

The false-alarm rate is proved at the real threshold, by importance sampling: a cycle of the CUSUM (from zero until it
falls back or alarms) is drawn under the doubled rate and weighted by its likelihood ratio (D. Siegmund, Sequential
Analysis, 1985), since no test can wait for an event that comes once in ten thousand million decisions.
"""

import json
import math
import random
from collections.abc import Iterable, Sequence

import pytest

from service.domain.activation import Activation, requested
from service.domain.decision import Kind
from service.domain.facts import FACTS, INDEX
from service.domain.mode import EVERYBODY, Scope
from service.domain.watch import Baseline, Complaint, Look
from service.engine.desks.reports import Pulse
from service.sentry.guards import COOL_DOWN_US, Act, Guards, learning
from service.sentry.pulse import PulseGuards
from service.sentry.statistics import (
    MONTH_DECISIONS,
    PSI_ALARM,
    STREAMS,
    WINDOW,
    Cusum,
    counts,
    edges,
    stability_index,
    upper_bound,
)
from tests.builders import NOW_US, PLAYBOOKS

CUT_SHARE = 0.05


def _learned(product: str, looks: Sequence[Look], complaints: int, by: str) -> Baseline:
    return next(found for found in learning(product, looks, complaints, by) if found is not None)


def _score(rng: random.Random) -> int:
    return max(min(int(rng.gauss(650, 80)), 900), 300)


def _looks(
    count: int, seed: int, cut_share: float = CUT_SHARE, shift: int = 0, first: int = 1, age: int = 0
) -> list[Look]:
    """Draw decisions of one product: reviews that cut now and then, raises, first limits."""
    rng = random.Random(seed)
    found = []
    for number in range(first, first + count):
        kind = rng.choices((Kind.REVIEW, Kind.RAISE, Kind.ASSIGN), (6, 3, 1))[0]
        chance = rng.random()
        if kind is Kind.REVIEW:
            move = -1 if chance < cut_share else int(chance > 0.7)
        else:
            move = int(chance < 0.6)
        score = _score(rng) + shift
        values = tuple(score if fact == INDEX["bureau_score"] else rng.randrange(40) for fact in range(len(FACTS)))
        found.append(Look(number, "revolving", kind, move, True, values, score, age, NOW_US + number * 1_000))
    return found


def _guards(acting: dict[str, str] | None = None, count: int = 20_000) -> Guards:
    guards = Guards(acting or {})
    guards.learn([_learned("revolving", _looks(count, seed=1), 0, "tests")._replace(version=1)])
    return guards


def _alarm_after(guards: Guards, looks: Iterable[Look], name: str) -> int:
    """Give how many decisions were looked at until a signal alarmed, 0 where it did not."""
    for place, look in enumerate(looks, 1):
        guards.add([look])
        if any(signal.name == name and signal.is_alarming for signal in guards.signals()):
            return place
    return 0


@pytest.mark.parametrize("normal", [0.005, 0.02, 0.05, 0.2, 0.6])
def test_false_alarms_come_at_most_once_a_month_at_a_thousand_decisions_a_second(normal: float) -> None:
    rng = random.Random(int(normal * 1_000))
    cycles = 2_000

    lengths = sum(_cycle(Cusum(normal), normal, rng)[0] for _ in range(cycles))
    doubled = min(2 * normal, (1 + normal) / 2)
    weights = sum(
        math.exp(-level) for _, level in (_cycle(Cusum(normal), doubled, rng) for _ in range(cycles)) if level
    )
    decisions_to_a_false_alarm = lengths / weights

    # Five rates a product share the month.
    assert decisions_to_a_false_alarm >= MONTH_DECISIONS * STREAMS


def _cycle(cusum: Cusum, rate: float, rng: random.Random) -> tuple[int, float]:
    """Run one cycle from zero; gives its length, and the level where it ended in an alarm, else 0."""
    for length in range(1, 1_000_000):
        found = rng.random() < rate
        cusum.add(found, not found)
        if cusum.level >= cusum.threshold:
            return length, cusum.level
        if not cusum.level:
            return length, 0.0
    raise AssertionError("a cycle ends")


@pytest.mark.parametrize(("normal", "decisions"), [(0.01, 7_500), (0.03, 2_000), (0.05, 1_200), (0.2, 300)])
def test_a_doubled_cut_rate_alarms_in_bounded_time_within_two_thousand_decisions_from_three_percent(
    normal: float, decisions: int
) -> None:
    delays = []
    for seed in range(200):
        rng, cusum, count = random.Random(seed), Cusum(upper_bound(int(20_000 * normal), 20_000)), 0
        while cusum.share < 1:
            found = rng.random() < 2 * normal
            cusum.add(found, not found)
            count += 1
        delays.append(count)

    assert sum(delays) / len(delays) <= decisions


def test_a_group_counts_at_once_and_never_alarms_sooner_than_one_by_one() -> None:
    rng = random.Random(4)
    one_by_one, grouped = Cusum(0.05), Cusum(0.05)
    while one_by_one.share < 1:
        group = [rng.random() < 0.09 for _ in range(20)]
        for found in group:
            one_by_one.add(found, not found)
        grouped.add(sum(group), 20 - sum(group))
        assert grouped.level <= one_by_one.level + 1e-9


def test_stationary_traffic_raises_no_alarm() -> None:
    guards = _guards()

    for start in range(0, 100_000, 2_000):
        guards.add(_looks(2_000, seed=start + 7, first=start))
        assert guards.news() == []

    assert max(signal.share for signal in guards.signals()) < 1


def test_stationary_windows_stay_far_below_the_psi_alarm_and_a_shift_passes_it_in_one_window() -> None:
    rng = random.Random(5)
    learned = [_score(rng) for _ in range(20_000)]
    bounds = edges(learned)
    normal = counts(learned, bounds)
    worst = max(stability_index(normal, counts([_score(rng) for _ in range(WINDOW)], bounds)) for _ in range(1_000))
    shifted = stability_index(normal, counts([_score(rng) - 60 for _ in range(WINDOW)], bounds))
    missing = stability_index(normal, counts([None] * WINDOW, bounds))

    assert worst < PSI_ALARM / 2
    assert shifted > PSI_ALARM
    assert missing > PSI_ALARM


@pytest.mark.parametrize(
    ("name", "changed", "recommends"),
    [
        ("cut_rate", {"cut_share": 2 * CUT_SHARE}, "freeze_reductions"),
        ("score_psi", {"shift": -60}, "hold_last_known_good"),
        ("fact_psi:bureau_score", {"shift": -60}, "hold_last_known_good"),
        ("age_psi", {"age": 2}, "static_scorecard"),
    ],
)
def test_what_changes_alarms_names_its_playbook_and_is_told_once(
    name: str, changed: dict[str, float], recommends: str
) -> None:
    guards = _guards()

    after = _alarm_after(guards, _looks(4_000, seed=9, **changed), name)  # type: ignore[arg-type]  # of every type.
    news = {signal.name: signal for signal in guards.news()}

    assert 0 < after <= 4_000
    assert news[name].recommends == recommends
    assert name not in {signal.name for signal in guards.news()}


def test_an_alarm_ends_only_well_below_its_threshold() -> None:
    guards = _guards()
    assert _alarm_after(guards, _looks(4_000, seed=9, cut_share=2 * CUT_SHARE), "cut_rate")

    levels = []
    for start in range(0, 20_000, 100):
        guards.add(_looks(100, seed=start + 1, cut_share=0.0))
        (signal,) = (one for one in guards.signals() if one.name == "cut_rate")
        levels.append((signal.share, signal.is_alarming))

    assert all(is_alarming for share, is_alarming in levels if share > 0.5)
    assert not levels[-1][1]


def test_decisions_made_under_a_playbook_dont_count_for_rates() -> None:
    guards = _guards()
    ours = [look._replace(is_plain=False) for look in _looks(4_000, seed=9, cut_share=0.9)]

    assert _alarm_after(guards, ours, "cut_rate") == 0


def test_a_baseline_learned_anew_replaces_the_old_one_and_the_same_keeps_what_was_seen() -> None:
    guards = _guards()
    guards.add(_looks(1_000, seed=9, cut_share=2 * CUT_SHARE))
    before = guards.signals()
    same = _learned("revolving", _looks(20_000, seed=1), 0, "tests")._replace(version=1)
    guards.learn([same])
    kept = guards.signals()
    guards.learn(
        [_learned("revolving", _looks(20_000, seed=2, cut_share=2 * CUT_SHARE), 0, "olga")._replace(version=2)]
    )

    assert kept == before
    assert {signal.baseline_version for signal in guards.signals()} == {2}
    assert max(signal.share for signal in guards.signals()) == 0


ACTING = {"cut_rate": "freeze_reductions", "score_psi": "hold_last_known_good"}


def _alarming() -> Guards:
    guards = _guards(ACTING)
    assert _alarm_after(guards, _looks(4_000, seed=9, cut_share=2 * CUT_SHARE), "cut_rate")
    return guards


def _activation(by: str, *, scope: Scope = EVERYBODY, ended_by: str = "", name: str = "cap_growth") -> Activation:
    made = requested(
        1, PLAYBOOKS.find(name), {}, scope, 3_600, by, "r", "", NOW_US, is_break_glass=True, is_forced=False
    )  # fmt: skip
    return made._replace(ended_us=NOW_US + 1, ended_by=ended_by) if ended_by else made


def _acts(guards: Guards, activations: Sequence[Activation] = (), now_us: int = NOW_US + 2) -> list[Act]:
    return guards.acts(guards.news(), activations, now_us)


def test_a_guard_acts_once_for_an_alarm_and_not_again_within_the_cool_down() -> None:
    guards = _alarming()
    news = guards.news()

    first = guards.acts(news, (), NOW_US)
    at_once = guards.acts(news, (), NOW_US + COOL_DOWN_US - 1)
    later = guards.acts(news, (), NOW_US + COOL_DOWN_US)

    assert [(one.signal.name, one.playbook) for one in first] == [("cut_rate", "freeze_reductions")]
    assert at_once == []
    assert len(later) == 1


@pytest.mark.parametrize(
    ("activation", "acts"),
    [
        (_activation("olga"), False),
        (_activation("olga", scope=Scope("instalment", (), 10_000)), True),
        (_activation("olga", ended_by="olga"), True),
        (_activation("holdline:guard"), False),
        (_activation("holdline:guard", ended_by="olga"), False),
        (_activation("holdline:guard", ended_by="holdline:sentry"), True),
    ],
    ids=[
        "a person's",
        "of another product",
        "a person's, over",
        "a guard's",
        "a guard's that a person ended",
        "lapsed",
    ],
)
def test_a_guard_never_acts_against_what_is_in_force_or_what_a_person_has_ended(
    activation: Activation, acts: bool
) -> None:
    assert bool(_acts(_alarming(), [activation])) is acts


def test_a_guard_that_isnt_configured_to_act_only_recommends() -> None:
    guards = _guards({"score_psi": "hold_last_known_good"})
    assert _alarm_after(guards, _looks(4_000, seed=9, cut_share=2 * CUT_SHARE), "cut_rate")

    assert _acts(guards) == []


def test_failing_answers_and_slow_commits_alarm() -> None:
    guards = PulseGuards()
    sound = _pulses(Pulse(0, 0, 0, 0), 200, failures=0, commit_us=1_000)
    for pulse in sound:
        assert not any(signal.is_alarming for signal in guards.signals(pulse, NOW_US))

    failing = _pulses(sound[-1], 100, failures=5, commit_us=1_000)
    alarmed = {one.name for pulse in failing for one in guards.signals(pulse, NOW_US) if one.is_alarming}
    slow = _pulses(failing[-1], 100, failures=0, commit_us=9_000)
    alarmed_later = {one.name for pulse in slow for one in guards.signals(pulse, NOW_US) if one.is_alarming}

    assert alarmed == {"error_rate"}
    assert "latency" in alarmed_later


def _pulses(start: Pulse, count: int, failures: int, commit_us: int) -> list[Pulse]:
    return [
        Pulse(
            start.answers + 100 * turn, start.failures + failures * turn, start.commits + 10 * turn,
            start.commit_us + 10 * commit_us * turn,
        )
        for turn in range(1, count + 1)
    ]  # fmt: skip


def test_an_engine_that_began_anew_is_no_burst_of_anything() -> None:
    guards = PulseGuards()
    guards.signals(Pulse(1_000_000, 0, 10_000, 10_000_000), NOW_US)

    found = guards.signals(Pulse(10, 0, 1, 1_000), NOW_US)

    assert not any(signal.is_alarming for signal in found)
    assert [signal.value for signal in found] == [0, 1_000]


def test_an_empty_baseline_is_learned_without_a_rate() -> None:
    nothing = _learned("revolving", [], 0, "tests")

    guards = Guards({})
    guards.learn([nothing._replace(version=1)])
    guards.add(_looks(100, seed=3))

    assert isinstance(nothing, Baseline)
    assert not any(signal.name == "cut_rate" for signal in guards.signals())


def test_a_rate_that_is_nearly_always_is_not_watched_but_its_opposite_is() -> None:
    always = [look._replace(kind=Kind.RAISE, move=1) for look in _looks(2_000, seed=1)]
    guards = Guards({})

    guards.learn([_learned("revolving", always, 0, "tests")._replace(version=1)])

    names = {signal.name for signal in guards.signals()}
    assert "raise_rate" not in names
    assert "raise_refusal_rate" in names
    refused = [look._replace(move=0) for look in always[:100]]
    assert 0 < _alarm_after(guards, refused, "raise_refusal_rate") <= 30


def test_a_rate_that_was_hardly_seen_is_lacking_and_not_watched() -> None:
    guards = Guards({})
    firsts = [look for look in _looks(20_000, seed=1) if look.kind is Kind.ASSIGN]

    assert guards.lacks("revolving")
    guards.learn([_learned("revolving", firsts, 0, "tests")._replace(version=1)])
    assert guards.lacks("revolving")
    assert "cut_rate" not in {signal.name for signal in guards.signals()}
    guards.learn([_learned("revolving", _looks(20_000, seed=1), 0, "tests")._replace(version=2)])
    assert not guards.lacks("revolving")


def _complained(guards: Guards, decisions: int, complaints: int, seed: int) -> list[str]:
    """Let complaints come in evenly among decisions; gives the signals that alarm afterwards."""
    looks = _looks(decisions, seed=seed)
    every = max(decisions // max(complaints, 1), 1)
    for place in range(0, decisions, every):
        guards.add(looks[place : place + every])
        if place // every < complaints:
            guards.hear([Complaint("revolving", NOW_US), Complaint("another", NOW_US)])
    return [signal.name for signal in guards.signals() if signal.is_alarming]


def test_a_surge_of_complaints_alarms_and_the_usual_few_do_not() -> None:
    calm, upset = Guards({}), Guards({})
    for guards in (calm, upset):
        guards.learn([_learned("revolving", _looks(20_000, seed=1), 40, "tests")._replace(version=1)])

    assert _complained(calm, 20_000, 40, seed=5) == []
    assert _complained(upset, 4_000, 80, seed=5) == ["complaint_rate"]
    (signal,) = [one for one in upset.signals() if one.name == "complaint_rate"]
    assert signal.recommends == "hold_last_known_good"


def test_a_baseline_from_before_complaints_were_heard_watches_none() -> None:
    before = _learned("revolving", _looks(20_000, seed=1), 40, "tests")
    content = json.loads(before.content)
    del content["rates"]["complaint_rate"]
    guards = Guards({})
    guards.learn([before._replace(version=1, content=json.dumps(content))])

    assert _complained(guards, 1_000, 500, seed=6) == []
