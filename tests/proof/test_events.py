"""Events in any order and any number of times give the same facts, and those that counting by hand gives."""

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.behaviour import KEPT_DAYS, Behaviour, Event, EventKind, effective
from service.domain.errors import BehaviourFull
from service.domain.facts import NOTHING_KNOWN
from service.domain.growing import STATEMENTS_MAX, Growing
from service.domain.statements import PAYMENTS_A_DAY
from tests.builders import DAY_US, TODAY
from tests.proof.counted import BILLS, EVENTS, PAID, counted, drawn_events, named, paid_facts, taken
from tests.proof.strategies import examples


class Sent(NamedTuple):
    """An event by its id."""

    event_id: int
    event: Event


def _facts(events: list[Sent], today: int, later: int = 0) -> tuple[int | None, ...]:
    """Take events as a store does, each id once; give the facts of a day.

    The second half comes `later` days after the first, but for what would be refused as too old by then.
    """
    behaviour: Behaviour | None = None
    seen: set[int] = set()
    for place, (event_id, event) in enumerate(events):
        if event_id in seen:
            continue
        seen.add(event_id)
        now = TODAY + (later if place > len(events) // 2 and not _is_too_old(event, later) else 0)
        behaviour = taken(behaviour, [event], now)
    return effective(NOTHING_KNOWN, behaviour, today).values


@examples(150)
@given(st.one_of(EVENTS, BILLS), st.data(), st.integers(0, 500))
def test_any_order_and_any_duplication_give_the_same_facts(drawn: list[Event], data: st.DataObject, later: int) -> None:
    sent = [Sent(event_id, event) for event_id, event in enumerate(drawn)]
    sent.sort(key=lambda one: not _is_too_old(one.event, later))
    shuffled = data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent), max_size=10))))
    shuffled = sorted(shuffled, key=lambda one: not _is_too_old(one.event, later))

    assert _facts(shuffled, TODAY + later, later) == _facts(sent, TODAY + later)


def _is_too_old(event: Event, later: int) -> bool:
    return event.day <= TODAY + later - KEPT_DAYS


@examples(100)
@given(EVENTS, st.data(), st.integers(0, 300))
def test_folding_the_past_along_the_way_changes_no_fact(drawn: list[Event], data: st.DataObject, later: int) -> None:
    sent = [Sent(event_id, event) for event_id, event in enumerate(drawn)]
    # What comes in later must lie within the window then.
    early = [one for one in sent if _is_too_old(one.event, later)]
    late = data.draw(st.permutations([one for one in sent if one not in early]))
    trigger = Sent(len(sent), Event(EventKind.REPAYMENT, (TODAY + later) * DAY_US, TODAY + later, amount_minor=1))

    at_once = _facts([*sent, trigger], TODAY + later)
    before = taken(None, [one.event for one in (*early, *late[: len(late) // 2])], TODAY)
    behaviour = taken(before, [one.event for one in (*late[len(late) // 2 :], trigger)], TODAY + later)

    assert effective(NOTHING_KNOWN, behaviour, TODAY + later).values == at_once


@examples(100)
@given(EVENTS, st.data())
def test_events_together_leave_the_state_that_one_by_one_they_leave(drawn: list[Event], data: st.DataObject) -> None:
    before = data.draw(st.integers(0, len(drawn)))
    one_by_one = known = taken(None, drawn[:before], TODAY)
    for event in drawn[before:]:
        one_by_one = taken(one_by_one, [event], TODAY)

    assert taken(known, drawn[before:], TODAY) == one_by_one


def test_a_refused_event_leaves_no_mark() -> None:
    growing = Growing(None, TODAY, TODAY * DAY_US)
    for place in range(STATEMENTS_MAX):
        growing.take(Event(EventKind.STATEMENT, TODAY * DAY_US, TODAY, 100, TODAY + place % 40))
    full = growing.behaviour()

    with pytest.raises(BehaviourFull):
        growing.take(Event(EventKind.STATEMENT, (TODAY - 9) * DAY_US, TODAY - 9, 100, TODAY))

    assert growing.behaviour() == full


@examples(150)
@given(st.one_of(EVENTS, BILLS))
def test_facts_are_those_that_counting_by_hand_gives(events: list[Event]) -> None:
    facts = _facts([Sent(event_id, event) for event_id, event in enumerate(events)], TODAY)

    by_hand = counted(events, TODAY)
    assert named(facts, by_hand) == by_hand


@examples(60)
@given(
    st.lists(st.integers(0, 24 * 60 - 1), min_size=PAYMENTS_A_DAY - 2, max_size=60),
    st.lists(st.tuples(st.integers(0, 24 * 60 - 1), st.integers(1, 20)), min_size=1, max_size=5),
    st.data(),
)
def test_many_payments_of_one_day_count_by_their_times_whatever_came_first(
    paid: list[int], billed: list[tuple[int, int]], data: st.DataObject
) -> None:
    day = TODAY - 40
    events = [Event(EventKind.REPAYMENT, day * DAY_US + minute * 60_000_000, day, 1) for minute in paid]
    events += [
        Event(EventKind.STATEMENT, day * DAY_US + minute * 60_000_000, day, amount, TODAY - 20)
        for minute, amount in billed
    ]

    behaviours = [taken(None, data.draw(st.permutations(events)), TODAY) for _ in range(2)]

    by_hand = counted(events, TODAY)
    assert behaviours[0] == behaviours[1]
    assert named(effective(NOTHING_KNOWN, behaviours[0], TODAY).values, by_hand) == by_hand


@examples(150)
@given(BILLS, drawn_events(PAID, st.integers(0, 399)), st.integers(1, 399), st.data())
def test_payment_facts_are_those_of_the_whole_past_however_much_of_it_was_folded(
    early: list[Event], drawn: list[Event], later: int, data: st.DataObject
) -> None:
    today = TODAY + later
    late = [_later(event, later) for event in drawn if event.day + later > TODAY]
    late.append(Event(EventKind.REPAYMENT, today * DAY_US, today, amount_minor=1))

    before = taken(None, data.draw(st.permutations(early)), TODAY)
    behaviour = taken(before, data.draw(st.permutations(late)), today)

    by_hand = paid_facts([*early, *late], today)
    assert named(effective(NOTHING_KNOWN, behaviour, today).values, by_hand) == by_hand


def _later(event: Event, days: int) -> Event:
    return replace(
        event, day=event.day + days, occurred_us=event.occurred_us + days * DAY_US, due_day=event.due_day + days
    )
