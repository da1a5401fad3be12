"""Events as tests draw them, what the domain makes of them, and the same facts counted by hand.

The hand counts with the whole past before it, an event at a time, and folds nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from hypothesis import strategies as st

from service.domain.behaviour import KEPT_DAYS, MONTH_DAYS, Behaviour, Event, EventKind
from service.domain.facts import FACTS, INDEX
from service.domain.growing import Growing
from service.domain.statements import PAYMENTS_A_DAY, hour_end_us
from tests.builders import DAY_US, TODAY

AMOUNTS = st.integers(1, 500)
PAST = st.one_of(st.integers(0, KEPT_DAYS - 1), st.sampled_from((40, 41, 370)))
"""Days ago; some more often, so that events meet on a day."""
FLAGS = ("cash_out", "collusion")
TOLD = (INDEX["bureau_score"], INDEX["employment_months"])
HOUR_US = DAY_US // 24
DAY = timedelta(days=1)
EPOCH = date(1970, 1, 1).toordinal()


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


def drawn_events(
    kinds: Sequence[EventKind], ago: st.SearchStrategy[int], least: int = 1
) -> st.SearchStrategy[list[Event]]:
    return st.lists(
        st.builds(
            _event, st.sampled_from(kinds), ago, st.integers(0, 23), AMOUNTS, st.integers(0, 40),
            st.sampled_from(FLAGS), st.booleans(), st.sampled_from(TOLD),
        ),
        min_size=least,
        max_size=40,
    )  # fmt: skip


EVENTS = drawn_events(tuple(EventKind), PAST)
PAID = (EventKind.STATEMENT, EventKind.REPAYMENT)
BILLS = st.one_of(drawn_events(PAID, PAST), drawn_events(PAID, st.integers(40, 42), least=15))
"""Statements and payments; also so many on few days that times of a day are not told apart any more."""


def taken(behaviour: Behaviour | None, events: Sequence[Event], today: int) -> Behaviour | None:
    growing = Growing(behaviour, today, today * DAY_US)
    for event in events:
        growing.take(event)
    return growing.behaviour()


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
            is_by_hour = times[payment.day] > PAYMENTS_A_DAY
            paid_us = hour_end_us(payment.occurred_us) if is_by_hour else payment.occurred_us
            if left[place] and statement.occurred_us <= paid_us:
                part = min(received, left[place])
                received, left[place] = received - part, left[place] - part
                if not left[place]:
                    settled[place] = payment.day
    return list(zip(statements, settled, strict=True))


def _when(event: Event) -> int:
    return event.occurred_us


def _month(day: int) -> str:
    return f"{date.fromordinal(EPOCH + day):%Y-%m}"


def _a_year_before(day: int) -> int:
    """Go back day by day to the same date, or to the end of February."""
    found = date.fromordinal(EPOCH + day)
    for back in (366, 365):
        then = date.fromordinal(EPOCH + day - back)
        if (then.month, then.day) in ((found.month, found.day), (2, 28 if found.day == 29 else 0)):
            return day - back
    raise AssertionError(day)


def paid_facts(events: Sequence[Event], today: int) -> dict[str, int | None]:
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


def counted(events: list[Event], today: int) -> dict[str, int | None]:
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
        **paid_facts(events, today),
    }


def named(facts: Sequence[int | None], names: Iterable[str]) -> dict[str, int | None]:
    return {name: facts[INDEX[name]] for name in names}
