"""Behaviour: events of an account, the state that they leave, and the facts that follow from it.

Promises that the facts depend on which events were taken (`growing`) and never on their order or on how often each was
sent, and that windows end on the business day that asks. Reads no clock.

How a payment counts: it goes to the open statements oldest due first, never to one that is not issued yet, as a
revolving account's least payment works; what is left over lowers the next balance and pays no later statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.facts import INDEX, Profile

MONTH_DAYS: Final = 30
"""Length of the short window, in business days, today included."""
YEAR_DAYS: Final = 365
"""Length of the long window ("12 months"), in business days, today included."""
KEPT_DAYS: Final = 400
"""How far back an event may lie, in business days: the long window and a month of grace for late news."""
NONE_FOLDED: Final = -1
"""The streak before the first statement has left the window."""

_ENQUIRIES: Final = INDEX["enquiries_30d"]
_STREAK: Final = INDEX["on_time_streak_months"]
_RATIO: Final = INDEX["payment_ratio_bp"]
_DPD_NOW: Final = INDEX["dpd_now"]
_DPD_MAX: Final = INDEX["dpd_max_12m"]
_LATE_MONTHS: Final = INDEX["late_months_12m"]
_TRANSACTIONS: Final = INDEX["transactions_30d"]
_MEAN: Final = INDEX["mean_transaction"]
_MISUSE: Final = INDEX["misuse_flags"]
MAINTAINED: Final = frozenset(
    (_ENQUIRIES, _STREAK, _RATIO, _DPD_NOW, _DPD_MAX, _LATE_MONTHS, _TRANSACTIONS, _MEAN, _MISUSE)
)
"""Facts that follow from events; a profile update states the others."""
_RANGE_MAX: Final = 100_000


class EventKind(IntEnum):
    """What happened; the numbers are the contract's field numbers."""

    TRANSACTION = 4
    ENQUIRY = 5
    PROFILE_UPDATE = 6
    MISUSE_FLAG = 7
    STATEMENT = 8
    REPAYMENT = 9


@dataclass(slots=True)
class Event:
    """What happened to an account; amounts in minor units, the time in microseconds since the epoch UTC."""

    kind: EventKind
    occurred_us: int
    day: int
    """The business day on which it occurred."""
    amount_minor: int = 0
    due_day: int = 0
    """With STATEMENT: the last business day to pay."""
    flag: str = ""
    """With MISUSE_FLAG: the finding, and whether it is raised or cleared."""
    is_raised: bool = True
    news: tuple[tuple[int, int], ...] = ()
    """With PROFILE_UPDATE: pairs of fact index and value."""


class Statement(NamedTuple):
    """What fell due; amounts in minor units, days since 1970-01-01."""

    due_day: int
    issued_day: int
    amount_minor: int
    paid_before_minor: int = 0
    """What payments before the kept window have paid of it."""
    is_counted: bool = False
    """Whether the folded streak knows of it already."""


class Flag(NamedTuple):
    """The newest word on one finding of misuse."""

    name: str
    occurred_us: int
    is_raised: bool


class Told(NamedTuple):
    """The newest value of a fact that an update told."""

    fact: int
    occurred_us: int
    value: int


class Behaviour(NamedTuple):
    """What events left of an account; each tuple is sorted, so that equal events make equal states."""

    since_day: int
    """Business day of the oldest event."""
    newest_us: int
    """Time of the newest event: how old the facts are."""
    taken_us: int
    """When the last event was taken."""
    transactions: tuple[tuple[int, int, int], ...] = ()
    """Day, count, sum in minor units; the short window."""
    enquiries: tuple[tuple[int, int, int], ...] = ()
    """Day, count, nothing; the short window."""
    flags: tuple[Flag, ...] = ()
    told: tuple[Told, ...] = ()
    statements: tuple[Statement, ...] = ()
    payments: tuple[tuple[int, int], ...] = ()
    """Day, sum in minor units; as far back as events are taken."""
    folded_streak: int = NONE_FOLDED
    """Statements in a row, up to the oldest kept one, that were paid on time."""
    has_folded_late: bool = False
    """Whether any statement that left the window was paid late or not at all."""
    has_enquiries: bool = False
    has_transactions: bool = False


class Fate(NamedTuple):
    """What became of a statement by some day."""

    statement: Statement
    paid_minor: int
    paid_day: int
    """Day of the payment that settled it; 0 while it is open."""


def fates(statements: Sequence[Statement], payments: Sequence[tuple[int, int]], upto_day: int) -> list[Fate]:
    """Let payments up to a day pay the statements, oldest due first."""
    paid = [statement.paid_before_minor for statement in statements]
    # What was settled before the window was settled in time: it is not due within the folded days.
    days = [
        statement.issued_day if statement.paid_before_minor >= statement.amount_minor else 0 for statement in statements
    ]
    for day, received in payments:
        if day > upto_day:
            break
        amount = received
        for place, statement in enumerate(statements):
            if not amount:
                break
            if days[place] or statement.issued_day > day:
                continue
            part = min(amount, statement.amount_minor - paid[place])
            paid[place] += part
            amount -= part
            if paid[place] == statement.amount_minor:
                days[place] = day
    return [Fate(*fate) for fate in zip(statements, paid, days, strict=True)]


def effective(profile: Profile, behaviour: Behaviour | None, today: int) -> Profile:
    """Give a profile with the facts that events maintain, as they are on a business day (days since 1970-01-01).

    Of facts that events maintain, the events count as soon as there is one of their kind. While they reach back less
    far than a window, a stated value stands for the time before them: the worse of the two counts. What an update
    tells counts where it is newer than what was stated.
    """
    if behaviour is None:
        return profile
    values, observed = list(profile.values), list(profile.observed_us)
    newest_us = behaviour.newest_us
    for fact, value in _maintained(behaviour, profile.values, today):
        values[fact], observed[fact] = value, newest_us
    for fact, occurred_us, value in behaviour.told:
        if values[fact] is None or observed[fact] <= occurred_us:
            values[fact], observed[fact] = value, occurred_us
    return Profile(tuple(values), tuple(observed))


def _maintained(behaviour: Behaviour, stated: Sequence[int | None], today: int) -> list[tuple[int, int]]:
    """Give pairs of fact index and value, of the facts that the events tell anything of."""
    found: list[tuple[int, int]] = []
    outside = today - MONTH_DAYS
    is_young = behaviour.since_day > outside + 1
    if behaviour.has_enquiries:
        enquiries = sum(count for day, count, _ in behaviour.enquiries if outside < day <= today)
        found.append((_ENQUIRIES, max(enquiries, stated[_ENQUIRIES] or 0) if is_young else enquiries))
    if behaviour.has_transactions:
        rows = [row for row in behaviour.transactions if outside < row[0] <= today]
        count = min(sum(row[1] for row in rows), _RANGE_MAX)
        found.append((_TRANSACTIONS, max(count, stated[_TRANSACTIONS] or 0) if is_young else count))
        if count:
            found.append((_MEAN, sum(row[2] for row in rows) // count))
    if behaviour.flags:
        found.append((_MISUSE, sum(flag.is_raised for flag in behaviour.flags)))
    if behaviour.statements or behaviour.folded_streak != NONE_FOLDED:
        found += _payment_facts(behaviour, stated, today)
    return found


def _payment_facts(behaviour: Behaviour, stated: Sequence[int | None], today: int) -> list[tuple[int, int]]:
    """Give days past due, late months, the streak and the ratio of paid to billed, as of a business day."""
    outside = today - YEAR_DAYS
    dpd_now = dpd_max = late_months = billed = paid = 0
    streak, is_known = max(behaviour.folded_streak, 0), behaviour.folded_streak != NONE_FOLDED
    is_unbroken = not behaviour.has_folded_late
    for statement, paid_minor, paid_day in fates(behaviour.statements, behaviour.payments, today):
        if statement.issued_day > today or (statement.due_day >= today and not paid_day):
            continue
        is_known = True
        until = paid_day or today
        late_days = max(until - statement.due_day, 0)
        if not paid_day:
            dpd_now = max(dpd_now, late_days)
        if until > outside:
            dpd_max = max(dpd_max, late_days)
        if statement.due_day > outside:
            late_months += late_days > 0
            billed, paid = billed + statement.amount_minor, paid + paid_minor
        if late_days:
            is_unbroken = False
        if not statement.is_counted:
            streak = 0 if late_days else streak + 1
    if not is_known:
        return []
    if is_unbroken:
        streak = max(streak, stated[_STREAK] or 0)
    if behaviour.since_day > outside + 1:
        dpd_max, late_months = max(dpd_max, stated[_DPD_MAX] or 0), max(late_months, stated[_LATE_MONTHS] or 0)
    facts = [
        (_DPD_NOW, dpd_now), (_DPD_MAX, dpd_max), (_LATE_MONTHS, min(late_months, 12)), (_STREAK, min(streak, 1_200)),
    ]  # fmt: skip
    return [*facts, (_RATIO, paid * 10_000 // billed)] if billed else facts
