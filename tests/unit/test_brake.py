"""The brake on exposure growth and the dead man's switch: bounds outside any policy, and silence that is noticed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.decision import Decided, Kind, Outcome
from service.domain.watch import MessageState
from service.engine.execute import transaction
from service.engine.ports.store import NUMBER_MAX
from service.engine.safety.dead_man import DeadMan
from service.storage.memory.store import MemoryStore
from tests.builders import GOOD_FACTS, NOW_US, PLAYBOOKS, Bench, StillClock, command, news

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
FIRST_LIMIT = 3_600_000
"""What the reference policy gives the customer of `command()`, in fen."""


def _bench(brake: str) -> Bench:
    return Bench(MemoryStore(lambda: 0), brake=brake)


def _assign(bench: Bench, *names: str) -> list[Decided]:
    answers = bench.execute(*(command(request_id=name, account_id=name) for name in names))
    assert all(isinstance(one, Decided) for one in answers), answers
    return [one for one in answers if isinstance(one, Decided)]


def _grown(answers: list[Decided]) -> int:
    return sum(one.decision.new_limit_minor - one.decision.old_limit_minor for one in answers)


def test_the_batch_that_would_pass_the_brake_is_decided_in_the_safe_mode_and_everybody_is_told() -> None:
    bench = _bench(f"CNY={2 * FIRST_LIMIT}/0")

    within = _assign(bench, "a", "b")
    beyond = _assign(bench, "c", "d")
    (change,) = bench.store.playbooks.changes(0, 9)
    (message,) = bench.store.outbox.messages("alert", (MessageState.WAITING,), NUMBER_MAX, 9)

    assert _grown(within) == 2 * FIRST_LIMIT
    assert {(one.decision.outcome, one.decision.activations) for one in beyond} == {
        (Outcome.REFERRED, ("A1@freeze_raises/v1",))
    }
    assert (change.caller, change.action) == ("holdline:brake", "activate")
    assert message.severity == "critical"
    assert json.loads(message.body)["what"] == "growth_brake_tripped"


def test_nothing_of_the_batch_that_trips_is_kept_beyond_the_brake_not_even_its_first_part() -> None:
    bench = _bench(f"CNY={2 * FIRST_LIMIT}/0")

    answers = _assign(bench, "a", "b", "c")

    assert _grown(answers) == 0
    assert bench.store.playbooks.growth(0) == []


def test_only_a_person_or_its_end_time_lifts_the_safe_mode_and_the_sums_remain() -> None:
    bench = _bench(f"CNY={FIRST_LIMIT}/0")
    _assign(bench, "a")
    _assign(bench, "b")
    bench.order("end", "e", number=1)

    again = _assign(bench, "c")
    bench.clock.time_us += 61 * MINUTE_US
    later = _assign(bench, "d")

    assert again[0].decision.activations == ("A2@freeze_raises/v1",)
    assert (later[0].decision.activations, _grown(later)) == ((), FIRST_LIMIT)


def test_the_hour_bounds_what_the_minutes_would_let_pass() -> None:
    bench = _bench(f"CNY={FIRST_LIMIT}/{2 * FIRST_LIMIT}")

    answers = []
    for name in ("a", "b", "c"):
        answers += _assign(bench, name)
        bench.clock.time_us += MINUTE_US

    assert [_grown([one]) for one in answers] == [FIRST_LIMIT, FIRST_LIMIT, 0]


def test_other_currencies_and_takeovers_dont_count() -> None:
    bench = _bench("EUR=1/1")
    taken = bench.execute(
        command(Kind.IMPORT, request_id="i", account_id="i", product="instalment", import_limit_minor=10**9,
                import_currency="EUR")
    )  # fmt: skip

    assert isinstance(taken[0], Decided)
    assert _grown(_assign(bench, "a")) == FIRST_LIMIT


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 50)), min_size=1, max_size=12),
    st.integers(0, 4), st.integers(1, 8), st.booleans(),
)  # fmt: skip
def test_whatever_comes_no_minute_and_no_hour_grows_beyond_the_brake(
    batches: list[tuple[int, int]], per_minute: int, per_hour: int, ends_it: bool
) -> None:
    bench = _bench(f"CNY={per_minute * FIRST_LIMIT}/{per_hour * FIRST_LIMIT}")
    grown: dict[int, int] = {}
    for turn, (size, pause_seconds) in enumerate(batches):
        answers = _assign(bench, *(f"{turn}-{place}" for place in range(size)))
        minute = bench.clock.time_us // MINUTE_US
        grown[minute] = grown.get(minute, 0) + _grown(answers)
        bench.clock.time_us += pause_seconds * SECOND_US
        if ends_it:
            for one in bench.store.playbooks.activations_open(bench.clock.time_us):
                bench.order("end", f"end-{turn}", number=one.number)

    assert not per_minute or max(grown.values()) <= per_minute * FIRST_LIMIT
    assert all(
        sum(amount for when, amount in grown.items() if minute - 60 < when <= minute) <= per_hour * FIRST_LIMIT
        for minute in grown
    )


def test_absurd_output_trips_within_a_bounded_number_of_decisions() -> None:
    bench = _bench(f"CNY={10 * FIRST_LIMIT}/0")
    rich = news(**{**GOOD_FACTS, "monthly_income": 10 * GOOD_FACTS["monthly_income"], "bureau_score": 880})

    count = 0
    for count in range(1, 100):
        (answer,) = bench.execute(command(request_id=f"{count}", account_id=f"{count}", news=rich))
        assert isinstance(answer, Decided)
        if answer.decision.activations:
            break

    assert count <= 11


def _dead_man(bench: Bench, playbook: str = "freeze_raises") -> DeadMan:
    return DeadMan(60 * SECOND_US, PLAYBOOKS.find(playbook) if playbook else None, 900, bench.clock.time_us)


def _act(bench: Bench, dead_man: DeadMan, after_seconds: int) -> str:
    now_us = NOW_US + after_seconds * SECOND_US
    if not dead_man.is_due(now_us):
        return ""
    with transaction(bench.store, bench.control) as row:
        return dead_man.act(bench.store, row, now_us)


def test_silent_guards_raise_an_alarm_and_then_the_safe_mode_once() -> None:
    bench = _bench("")
    dead_man = _dead_man(bench)

    done = [_act(bench, dead_man, seconds) for seconds in (59, 60, 61, 90, 120, 121, 200)]
    held = _assign(bench, "a")

    assert done == ["", "", "alerted", "", "", "A1@freeze_raises/v1", ""]
    assert held[0].decision.activations == ("A1@freeze_raises/v1",)
    words = [
        json.loads(one.body)["what"]
        for one in bench.store.outbox.messages("alert", (MessageState.WAITING,), NUMBER_MAX, 9)
    ]
    assert words == ["dead_man_acted", "guards_silent"]


def test_without_a_playbook_silence_only_alarms() -> None:
    bench = _bench("")
    dead_man = _dead_man(bench, "")

    assert [_act(bench, dead_man, seconds) for seconds in (61, 121, 300)] == ["alerted", "", ""]
    assert bench.store.playbooks.changes(0, 9) == []


def test_guards_that_report_but_see_nothing_new_count_as_silent() -> None:
    bench = _bench("")
    dead_man = _dead_man(bench)

    dead_man.heard(watermark=10, head=20, now_us=NOW_US + 30 * SECOND_US)
    for turn in range(60):
        dead_man.heard(10, 30 + turn, NOW_US + (40 + turn) * SECOND_US)

    assert dead_man.is_due(NOW_US + 91 * SECOND_US)
    dead_man.heard(watermark=90, head=95, now_us=NOW_US + 95 * SECOND_US)
    assert not dead_man.is_due(NOW_US + 155 * SECOND_US)


def test_guards_that_come_back_start_the_count_anew_and_the_safe_mode_stays() -> None:
    bench = _bench("")
    dead_man = _dead_man(bench)
    for seconds in (61, 121):
        _act(bench, dead_man, seconds)

    dead_man.heard(0, 0, NOW_US + 130 * SECOND_US)

    assert _act(bench, dead_man, 180) == ""
    assert _act(bench, dead_man, 191) == "alerted"
    assert bench.playbooks.mode().mode.measures


@pytest.mark.parametrize("clock_step_us", [-3_600 * SECOND_US, 3_600 * SECOND_US])
def test_the_dead_man_listens_to_the_monotonic_clock_only(clock_step_us: int) -> None:
    bench = Bench(MemoryStore(lambda: 0), StillClock())
    dead_man = _dead_man(bench)
    bench.clock.time_us += clock_step_us

    assert not dead_man.is_due(NOW_US + 30 * SECOND_US)


def test_growth_without_a_bound_is_not_added_up() -> None:
    bench = _bench("CNY=0/0")

    answers = _assign(bench, "a", "b")

    assert _grown(answers) == 2 * FIRST_LIMIT
    assert bench.store.playbooks.growth(0) == []
