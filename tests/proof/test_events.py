"""Events in any order and any number of times give the same facts, and those that counting by hand gives."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.behaviour import KEPT_DAYS, MONTH_DAYS, YEAR_DAYS, Behaviour, Event, EventKind, effective
from service.domain.errors import BehaviourFull
from service.domain.facts import FACTS, INDEX, NOTHING_KNOWN
from service.domain.growing import STATEMENTS_MAX, Growing
from tests.builders import DAY_US, TODAY
from tests.proof.strategies import examples

AMOUNTS = st.integers(1, 500)
PAST = st.integers(0, KEPT_DAYS - 1)
FLAGS = ("cash_out", "collusion")
TOLD = (INDEX["bureau_score"], INDEX["employment_months"])


class Sent(NamedTuple):
    """An event by its id."""

    event_id: int
    event: Event


def _event(kind: EventKind, ago: int, amount: int, due_in: int, flag: str, is_raised: bool, told: int) -> Event:
    day = TODAY - ago
    return Event(
        kind, day * DAY_US + amount, day,
        amount_minor=amount if kind in (EventKind.TRANSACTION, EventKind.STATEMENT, EventKind.REPAYMENT) else 0,
        due_day=day + due_in if kind is EventKind.STATEMENT else 0,
        flag=flag if kind is EventKind.MISUSE_FLAG else "",
        is_raised=is_raised,
        news=((told, 300 + amount),) if kind is EventKind.PROFILE_UPDATE else (),
    )  # fmt: skip


EVENTS = st.lists(
    st.builds(
        _event, st.sampled_from(EventKind), PAST, AMOUNTS, st.integers(0, 40), st.sampled_from(FLAGS), st.booleans(),
        st.sampled_from(TOLD),
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


def _taken(behaviour: Behaviour | None, events: Sequence[Event], today: int) -> Behaviour | None:
    growing = Growing(behaviour, today, today * DAY_US)
    for event in events:
        growing.take(event)
    return growing.behaviour()


def _facts(events: list[Sent], today: int, later: int = 0) -> tuple[int | None, ...]:
    """Take events as a store does, each id once, `later` days after the first of them; give the facts of a day."""
    behaviour: Behaviour | None = None
    seen: set[int] = set()
    for place, (event_id, event) in enumerate(events):
        if event_id in seen:
            continue
        seen.add(event_id)
        now = TODAY + (later if place > len(events) // 2 else 0)
        behaviour = _taken(behaviour, [event], now)
    return effective(NOTHING_KNOWN, behaviour, today).values


@examples(150)
@given(EVENTS, st.randoms(use_true_random=False), st.data(), st.integers(0, 500))
def test_any_order_and_any_duplication_give_the_same_facts(
    drawn: list[Event], random: object, data: st.DataObject, later: int
) -> None:
    sent = [Sent(event_id, event) for event_id, event in enumerate(drawn)]
    shuffled = data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent), max_size=10))))

    assert _facts(list(shuffled), TODAY + later) == _facts(sent, TODAY + later)


@examples(100)
@given(EVENTS, st.data(), st.integers(0, 300))
def test_folding_the_past_along_the_way_changes_no_fact(drawn: list[Event], data: st.DataObject, later: int) -> None:
    sent = [Sent(event_id, event) for event_id, event in enumerate(drawn)]
    # What comes in later must lie within the window then.
    early = [one for one in sent if one.event.day <= TODAY + later - KEPT_DAYS]
    late = data.draw(st.permutations([one for one in sent if one not in early]))
    trigger = Sent(len(sent), Event(EventKind.REPAYMENT, (TODAY + later) * DAY_US, TODAY + later, amount_minor=1))

    at_once = _facts([*sent, trigger], TODAY + later)
    before = _taken(None, [one.event for one in (*early, *late[: len(late) // 2])], TODAY)
    behaviour = _taken(before, [one.event for one in (*late[len(late) // 2 :], trigger)], TODAY + later)

    assert effective(NOTHING_KNOWN, behaviour, TODAY + later).values == at_once


@examples(100)
@given(EVENTS, st.data())
def test_events_together_leave_the_state_that_one_by_one_they_leave(drawn: list[Event], data: st.DataObject) -> None:
    before = data.draw(st.integers(0, len(drawn)))
    one_by_one = known = _taken(None, drawn[:before], TODAY)
    for event in drawn[before:]:
        one_by_one = _taken(one_by_one, [event], TODAY)

    assert _taken(known, drawn[before:], TODAY) == one_by_one


def test_a_refused_event_leaves_no_mark() -> None:
    growing = Growing(None, TODAY, TODAY * DAY_US)
    for place in range(STATEMENTS_MAX):
        growing.take(Event(EventKind.STATEMENT, TODAY * DAY_US, TODAY, 100, TODAY + place))
    full = growing.behaviour()

    with pytest.raises(BehaviourFull):
        growing.take(Event(EventKind.STATEMENT, (TODAY - 9) * DAY_US, TODAY - 9, 100, TODAY))

    assert growing.behaviour() == full


def _counted(events: list[Event], today: int) -> dict[str, int | None]:
    """Count facts by hand: day by day, with every event at hand and nothing folded."""
    recent = [event for event in events if today - MONTH_DAYS < event.day <= today]
    spent = [event.amount_minor for event in recent if event.kind is EventKind.TRANSACTION]
    statements = sorted(
        (event.due_day, event.day, event.amount_minor) for event in events if event.kind is EventKind.STATEMENT
    )
    left = [amount for _, _, amount in statements]
    settled_on: list[int | None] = [None] * len(statements)
    for day in range(today - KEPT_DAYS, today + 1):
        received = sum(e.amount_minor for e in events if e.kind is EventKind.REPAYMENT and e.day == day)
        for place, (_, issued, _) in enumerate(statements):
            if issued <= day and left[place]:
                part = min(received, left[place])
                received, left[place] = received - part, left[place] - part
                if not left[place]:
                    settled_on[place] = day
    late = [
        (due, (settled if settled is not None else today) - due, settled)
        for (due, _, _), settled in zip(statements, settled_on, strict=True)
        if settled is not None or due < today
    ]
    flags = {}
    for event in sorted(events, key=lambda one: (one.occurred_us, one.is_raised)):
        if event.kind is EventKind.MISUSE_FLAG:
            flags[event.flag] = event.is_raised
    return {
        "transactions_30d": len(spent) if any(e.kind is EventKind.TRANSACTION for e in events) else None,
        "mean_transaction": sum(spent) // len(spent) if spent else None,
        "enquiries_30d": sum(e.kind is EventKind.ENQUIRY for e in recent)
        if any(e.kind is EventKind.ENQUIRY for e in events)
        else None,
        "misuse_flags": sum(flags.values()) if flags else None,
        "dpd_now": max((max(days, 0) for _, days, settled in late if settled is None), default=0) if late else None,
        "dpd_max_12m": max(
            (days for due, days, settled in late if days > 0 and due + days > today - YEAR_DAYS), default=0
        )
        if late
        else None,
        "late_months_12m": min(sum(days > 0 and due > today - YEAR_DAYS for due, days, _ in late), 12)
        if late
        else None,
    }


@examples(150)
@given(EVENTS)
def test_facts_are_those_that_counting_by_hand_gives(events: list[Event]) -> None:
    facts = _facts([Sent(event_id, event) for event_id, event in enumerate(events)], TODAY)
    named = dict(zip((fact.name for fact in FACTS), facts, strict=True))

    counted = _counted(events, TODAY)
    assert {name: named[name] for name in counted} == counted
