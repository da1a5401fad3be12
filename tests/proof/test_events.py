"""Events in any order and any number of times give the same facts, and those that counting by hand gives."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.behaviour import KEPT_DAYS, MONTH_DAYS, Behaviour, Event, EventKind, effective
from service.domain.errors import BehaviourFull, SumTooLarge
from service.domain.facts import FACTS, INDEX, NOTHING_KNOWN
from service.domain.growing import STATEMENTS_MAX, Growing
from service.domain.money import MINOR_MAX, SUM_MAX
from service.domain.statements import PAYMENTS_A_DAY
from service.storage.behaviours import behaviour_bytes, behaviour_of
from tests.builders import DAY_US, TODAY
from tests.proof.strategies import examples

AMOUNTS = st.integers(1, 500)
PAST = st.one_of(st.integers(0, KEPT_DAYS - 1), st.sampled_from((40, 41, 370)))
"""Days ago; some more often, so that events meet on a day."""
FLAGS = ("cash_out", "collusion")
TOLD = (INDEX["bureau_score"], INDEX["employment_months"])
HOUR_US = DAY_US // 24
DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1).toordinal()


class Sent(NamedTuple):
    """An event by its id."""

    event_id: int
    event: Event


def _event(
    kind: EventKind, ago: int, hour: int, amount: int, due_in: int, flag: str, is_raised: bool, told: int
) -> Event:
    day = TODAY - ago
    return Event(
        kind, day * DAY_US + hour * HOUR_US, day,
        amount_minor=amount if kind in (EventKind.TRANSACTION, EventKind.STATEMENT, EventKind.REPAYMENT) else 0,
        due_day=day + due_in if kind is EventKind.STATEMENT else 0,
        flag=flag if kind is EventKind.MISUSE_FLAG else "",
        is_raised=is_raised,
        news=((told, 300 + amount),) if kind is EventKind.PROFILE_UPDATE else (),
    )  # fmt: skip


def _events(kinds: Sequence[EventKind], ago: st.SearchStrategy[int], least: int = 1) -> st.SearchStrategy[list[Event]]:
    return st.lists(
        st.builds(
            _event, st.sampled_from(kinds), ago, st.integers(0, 23), AMOUNTS, st.integers(0, 40),
            st.sampled_from(FLAGS), st.booleans(), st.sampled_from(TOLD),
        ),
        min_size=least,
        max_size=40,
    )  # fmt: skip


EVENTS = _events(tuple(EventKind), PAST)
PAID = (EventKind.STATEMENT, EventKind.REPAYMENT)
BILLS = st.one_of(_events(PAID, PAST), _events(PAID, st.integers(40, 42), least=15))
"""Statements and payments; also so many on few days that times of a day are not told apart any more."""


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
        growing.take(Event(EventKind.STATEMENT, TODAY * DAY_US, TODAY, 100, TODAY + place % 40))
    full = growing.behaviour()

    with pytest.raises(BehaviourFull):
        growing.take(Event(EventKind.STATEMENT, (TODAY - 9) * DAY_US, TODAY - 9, 100, TODAY))

    assert growing.behaviour() == full


def _settled(events: Sequence[Event], today: int) -> list[tuple[Event, int | None]]:
    """Pay statements by hand, a payment at a time; gives each with the day that settled it."""
    payments = sorted((e for e in events if e.kind is EventKind.REPAYMENT and e.day <= today), key=_when)
    times = {day: len({e.occurred_us for e in payments if e.day == day}) for day in {e.day for e in payments}}
    statements = sorted(
        (e for e in events if e.kind is EventKind.STATEMENT and e.day <= today),
        key=lambda e: (e.due_day, e.occurred_us, e.amount_minor),
    )
    left = [e.amount_minor for e in statements]
    settled: list[int | None] = [None] * len(statements)
    for payment in payments:
        received = payment.amount_minor
        for place, statement in enumerate(statements):
            is_too_many = times[payment.day] > PAYMENTS_A_DAY and statement.day == payment.day
            if left[place] and (statement.occurred_us <= payment.occurred_us or is_too_many):
                part = min(received, left[place])
                received, left[place] = received - part, left[place] - part
                if not left[place]:
                    settled[place] = payment.day
    return list(zip(statements, settled, strict=True))


def _when(event: Event) -> int:
    return event.occurred_us


def _month(day: int) -> str:
    return f"{date.fromordinal(_EPOCH + day):%Y-%m}"


def _a_year_before(day: int) -> int:
    """Go back day by day to the same date, or to the end of February."""
    found = date.fromordinal(_EPOCH + day)
    for back in (366, 365):
        then = date.fromordinal(_EPOCH + day - back)
        if (then.month, then.day) in ((found.month, found.day), (2, 28 if found.day == 29 else 0)):
            return day - back
    raise AssertionError(day)


def _paid_facts(events: Sequence[Event], today: int) -> dict[str, int | None]:
    """Count the facts that follow from statements and payments by hand, with the whole past at hand."""
    outside = _a_year_before(today)
    late = [
        (statement, (settled if settled is not None else today) - statement.due_day, settled)
        for statement, settled in _settled(events, today)
        if settled is not None or statement.due_day < today
    ]
    months = sorted({_month(statement.due_day) for statement, _, _ in late})
    bad = {_month(statement.due_day) for statement, days, _ in late if days > 0}
    recent = {_month(one.due_day) for one, days, _ in late if days > 0 and one.due_day > outside}
    streak = len(months) - max((place + 1 for place, month in enumerate(months) if month in bad), default=0)
    if not late:
        return dict.fromkeys(("dpd_now", "dpd_max_12m", "late_months_12m", "on_time_streak_months"))
    return {
        "dpd_now": max((max(days, 0) for _, days, settled in late if settled is None), default=0),
        "dpd_max_12m": max((days for one, days, _ in late if days > 0 and one.due_day + days > outside), default=0),
        "late_months_12m": min(len(recent), 12),
        "on_time_streak_months": streak,
    }


def _counted(events: list[Event], today: int) -> dict[str, int | None]:
    """Count facts by hand: day by day, with every event at hand and nothing folded."""
    recent = [event for event in events if today - MONTH_DAYS < event.day <= today]
    spent = [event.amount_minor for event in recent if event.kind is EventKind.TRANSACTION]
    flags = {}
    told: dict[int, list[tuple[int, int]]] = {}
    for event in sorted(events, key=lambda one: (one.occurred_us, one.is_raised)):
        if event.kind is EventKind.MISUSE_FLAG:
            flags[event.flag] = event.is_raised
        for fact, value in event.news:
            told.setdefault(fact, []).append((event.occurred_us, -value))
    return {
        "transactions_30d": len(spent) if any(e.kind is EventKind.TRANSACTION for e in events) else None,
        "mean_transaction": sum(spent) // len(spent) if spent else None,
        "enquiries_30d": sum(e.kind is EventKind.ENQUIRY for e in recent)
        if any(e.kind is EventKind.ENQUIRY for e in events)
        else None,
        "misuse_flags": sum(flags.values()) if flags else None,
        **{FACTS[fact].name: -max(values)[1] for fact, values in told.items()},
        **_paid_facts(events, today),
    }


def _named(facts: Sequence[int | None], names: Iterable[str]) -> dict[str, int | None]:
    return {name: facts[INDEX[name]] for name in names}


@examples(150)
@given(st.one_of(EVENTS, BILLS))
def test_facts_are_those_that_counting_by_hand_gives(events: list[Event]) -> None:
    facts = _facts([Sent(event_id, event) for event_id, event in enumerate(events)], TODAY)

    counted = _counted(events, TODAY)
    assert _named(facts, counted) == counted


@examples(150)
@given(BILLS, _events(PAID, st.integers(0, 399)), st.integers(1, 399), st.data())
def test_payment_facts_are_those_of_the_whole_past_however_much_of_it_was_folded(
    early: list[Event], drawn: list[Event], later: int, data: st.DataObject
) -> None:
    today = TODAY + later
    late = [_later(event, later) for event in drawn if event.day + later > TODAY]
    late.append(Event(EventKind.REPAYMENT, today * DAY_US, today, amount_minor=1))

    before = _taken(None, data.draw(st.permutations(early)), TODAY)
    behaviour = _taken(before, data.draw(st.permutations(late)), today)

    counted = _paid_facts([*early, *late], today)
    assert _named(effective(NOTHING_KNOWN, behaviour, today).values, counted) == counted


def _later(event: Event, days: int) -> Event:
    return replace(
        event, day=event.day + days, occurred_us=event.occurred_us + days * DAY_US, due_day=event.due_day + days
    )


def _bill(due: date, paid: date | None = None, amount: int = 100) -> list[Event]:
    """Make a statement of ten days before a date, and its payment."""
    due_day = due.toordinal() - _EPOCH
    issued = Event(EventKind.STATEMENT, (due_day - 10) * DAY_US, due_day - 10, amount, due_day)
    if paid is None:
        return [issued]
    day = paid.toordinal() - _EPOCH
    return [issued, Event(EventKind.REPAYMENT, day * DAY_US, day, amount)]


def _on(day: date, *bills: list[Event]) -> dict[str, int | None]:
    """Give the facts on a day, of events that are taken on it."""
    today = day.toordinal() - _EPOCH
    behaviour = _taken(None, [event for bill in bills for event in bill], today)
    return _named(effective(NOTHING_KNOWN, behaviour, today).values, INDEX.keys() - {"utilisation_bp"})


def test_weekly_bills_paid_late_are_late_in_the_months_that_they_fall_due_in() -> None:
    dues = [date(2026, 9, 4) + 7 * place * DAY for place in range(9)]

    facts = _on(date(2026, 11, 20), *[_bill(due, due + DAY) for due in dues])

    assert facts["late_months_12m"] == 2
    assert facts["on_time_streak_months"] == 0


def test_weekly_bills_paid_on_time_make_a_streak_of_months() -> None:
    dues = [date(2026, 1, 2) + 7 * place * DAY for place in range(45)]

    facts = _on(date(2026, 11, 20), *[_bill(due, due) for due in dues])

    assert facts["on_time_streak_months"] == 11
    assert facts["late_months_12m"] == 0


def test_one_late_bill_spoils_its_month_and_none_before_or_after_it() -> None:
    dues = [date(2026, 1, 2) + 7 * place * DAY for place in range(45)]

    facts = _on(date(2026, 11, 20), *[_bill(due, due + DAY if due == date(2026, 8, 7) else due) for due in dues])

    assert facts["late_months_12m"] == 1
    assert facts["on_time_streak_months"] == 3


def test_bills_of_one_day_are_one_month_late_and_a_bill_of_the_31st_is_late_in_its_own_month() -> None:
    same_day = [_bill(date(2026, 10, 31), date(2026, 11, 1), amount) for amount in (100, 200, 300)]

    facts = _on(date(2026, 11, 20), *same_day)

    assert (facts["late_months_12m"], facts["dpd_max_12m"]) == (1, 1)


def test_every_month_late_is_twelve_months_late() -> None:
    dues = [date(2025, 11, 21), *(date(2026, month, 10) for month in range(1, 12)), date(2025, 12, 10)]

    facts = _on(date(2026, 11, 20), *[_bill(due, due + DAY) for due in sorted(dues)])

    assert facts["late_months_12m"] == 12


@pytest.mark.parametrize(
    ("today", "last_out"),
    [
        (date(2026, 11, 20), date(2025, 11, 20)),
        (date(2028, 2, 29), date(2027, 2, 28)),
        (date(2029, 2, 28), date(2028, 2, 28)),
        (date(2028, 3, 1), date(2027, 3, 1)),
    ],
)
def test_twelve_months_are_counted_by_the_calendar(today: date, last_out: date) -> None:
    assert _on(today, _bill(last_out, last_out + DAY))["late_months_12m"] == 0
    assert _on(today, _bill(last_out + DAY, last_out + 2 * DAY))["late_months_12m"] == 1


def _at(kind: EventKind, hour: int, amount: int = 100, due_day: int = 0) -> Event:
    return Event(kind, (TODAY - 40) * DAY_US + hour * HOUR_US, TODAY - 40, amount, due_day)


@pytest.mark.parametrize(("hour", "dpd"), [(9, 20), (12, 0), (15, 0)])
def test_a_payment_pays_a_statement_of_its_day_from_the_moment_of_issue_on(hour: int, dpd: int) -> None:
    statement = _at(EventKind.STATEMENT, 12, due_day=TODAY - 20)
    payment = _at(EventKind.REPAYMENT, hour)

    for events in ([statement, payment], [payment, statement]):
        facts = effective(NOTHING_KNOWN, _taken(None, events, TODAY), TODAY).values
        assert facts[INDEX["dpd_now"]] == dpd


def test_a_day_of_more_payments_than_times_are_kept_counts_as_one_payment_at_its_end() -> None:
    statement = _at(EventKind.STATEMENT, 23, PAYMENTS_A_DAY + 1, TODAY - 20)
    payments = [_at(EventKind.REPAYMENT, hour, 1) for hour in range(PAYMENTS_A_DAY + 1)]

    few = effective(NOTHING_KNOWN, _taken(None, [statement, *payments[1:]], TODAY), TODAY).values
    many = _taken(None, [*payments, statement], TODAY)

    assert few[INDEX["dpd_now"]] == 20
    assert many is not None
    assert len(many.payments) == 1
    assert effective(NOTHING_KNOWN, many, TODAY).values[INDEX["dpd_now"]] == 0


@pytest.mark.parametrize(
    ("kind", "field"), [(EventKind.REPAYMENT, "repayment"), (EventKind.TRANSACTION, "transaction")]
)
def test_amounts_of_a_day_that_would_outgrow_their_sum_are_refused_and_leave_no_mark(
    kind: EventKind, field: str
) -> None:
    growing = Growing(None, TODAY, TODAY * DAY_US)
    for place in range(SUM_MAX // MINOR_MAX):
        growing.take(Event(kind, TODAY * DAY_US + place % 20, TODAY, MINOR_MAX))
    full = growing.behaviour()

    with pytest.raises(SumTooLarge) as refused:
        growing.take(Event(kind, TODAY * DAY_US, TODAY, 1))
    growing.take(Event(kind, (TODAY - 1) * DAY_US, TODAY - 1, MINOR_MAX))

    assert refused.value.metadata["field"] == f"{field}.amount"
    assert full is not None
    assert behaviour_of(behaviour_bytes(full)) == full


def test_counts_stay_within_the_range_of_their_fact_and_a_mean_is_of_all_that_was_counted() -> None:
    growing = Growing(None, TODAY, TODAY * DAY_US)
    growing.transactions = [(TODAY, 250_000, 250_000 * 40)]
    growing.take(Event(EventKind.TRANSACTION, TODAY * DAY_US, TODAY, 40))
    for _ in range(1_001):
        growing.take(Event(EventKind.ENQUIRY, TODAY * DAY_US, TODAY))

    facts = effective(NOTHING_KNOWN, growing.behaviour(), TODAY).values

    assert facts[INDEX["transactions_30d"]] == 100_000
    assert facts[INDEX["mean_transaction"]] == 40
    assert facts[INDEX["enquiries_30d"]] == 1_000


def test_a_behaviour_of_before_times_counted_reads_as_it_counted_then() -> None:
    day, due = TODAY - 30, TODAY - 10
    before = [
        TODAY - 700, TODAY * DAY_US, TODAY * DAY_US, [], [], [], [], [[due, day, 100, 0, False]], [[day, 100]], 40,
        False, False, False,
    ]  # fmt: skip

    behaviour = behaviour_of(msgspec.msgpack.encode(before))
    early = Event(EventKind.STATEMENT, day * DAY_US, day, 50, due)
    late = Event(EventKind.REPAYMENT, (day + 1) * DAY_US - 1, day, 50)
    more = _taken(behaviour, [late, early], TODAY)

    assert behaviour is not None
    for found in (behaviour, more):
        facts = effective(NOTHING_KNOWN, found, TODAY).values
        assert facts[INDEX["dpd_now"]] == 0
        assert facts[INDEX["payment_ratio_bp"]] == 10_000
        # Forty statements in a row of the ten or eleven months that they can have fallen due in, and the new one.
        assert facts[INDEX["on_time_streak_months"]] in (11, 12)
    assert behaviour_of(behaviour_bytes(behaviour)) == behaviour
