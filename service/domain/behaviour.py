"""Behaviour: events of an account, the state that they leave, and the facts that follow from it.

Promises that the facts depend on which events were taken (`growing`) and never on their order or on how often each was
sent, that windows end on the business day that asks, and that each fact counts the unit in its name: days, calendar
months of due dates, twelve of them up to today. Reads no clock.

How a payment counts: it goes to the open statements oldest due first, never to one that is not issued yet, as a
revolving account's least payment works; what is left over lowers the next balance and pays no later statement.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.days import year_before
from service.domain.facts import FACTS, INDEX, Profile
from service.domain.statements import NONE_FOLDED, Folded, Payment, Statement, conduct

MONTH_DAYS: Final = 30
"""Length of the short window, in business days, today included."""
KEPT_DAYS: Final = 400
"""How far back an event may lie, in business days: twelve months and one of grace for late news."""

_DAY_US: Final = 86_400_000_000
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


class Flag(NamedTuple):
    """The newest word on one finding of misuse."""

    name: str
    occurred_us: int
    is_raised: bool


class ToldFact(NamedTuple):
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
    told: tuple[ToldFact, ...] = ()
    statements: tuple[Statement, ...] = ()
    payments: tuple[Payment, ...] = ()
    """As far back as events are taken."""
    folded_streak: int = NONE_FOLDED
    """As `Folded.streak`, of the statements that left the window."""
    has_folded_late: bool = False
    has_enquiries: bool = False
    has_transactions: bool = False
    folded_month: int = 0


def effective(profile: Profile, behaviour: Behaviour | None, today: int) -> Profile:
    """Give a profile with the facts that events maintain, as they are on a business day (days since 1970-01-01).

    Of facts that events maintain, the events count as soon as there is one of their kind. While they reach back less
    far than a window, a value stated within it stands for the time before them: the worse of the two counts. What an
    update tells counts where it is newer than what was stated.
    """
    if behaviour is None:
        return profile
    values, observed = list(profile.values), list(profile.observed_us)
    newest_us = behaviour.newest_us
    for fact, value in _maintained(behaviour, profile, today):
        values[fact], observed[fact] = value, newest_us
    for fact, occurred_us, value in behaviour.told:
        if values[fact] is None or observed[fact] <= occurred_us:
            values[fact], observed[fact] = value, occurred_us
    return Profile(tuple(values), tuple(observed))


def _maintained(behaviour: Behaviour, stated: Profile, today: int) -> list[tuple[int, int]]:
    """Give pairs of fact index and value, of the facts that the events tell anything of."""
    found: list[tuple[int, int]] = []
    outside = today - MONTH_DAYS
    is_young = behaviour.since_day > outside + 1
    if behaviour.has_enquiries:
        enquiries = sum(count for day, count, _ in behaviour.enquiries if outside < day <= today)
        enquiries = _in_range(_ENQUIRIES, enquiries)
        found.append((_ENQUIRIES, max(enquiries, _since(outside, stated, _ENQUIRIES)) if is_young else enquiries))
    if behaviour.has_transactions:
        rows = [row for row in behaviour.transactions if outside < row[0] <= today]
        counted = sum(row[1] for row in rows)
        count = _in_range(_TRANSACTIONS, counted)
        found.append((_TRANSACTIONS, max(count, _since(outside, stated, _TRANSACTIONS)) if is_young else count))
        if counted:
            found.append((_MEAN, sum(row[2] for row in rows) // counted))
    if behaviour.flags:
        found.append((_MISUSE, sum(flag.is_raised for flag in behaviour.flags)))
    if behaviour.statements or behaviour.folded_streak != NONE_FOLDED:
        found += _payment_facts(behaviour, stated, today)
    return found


def _since(outside: int, stated: Profile, fact: int) -> int:
    """Give what was stated of a window that still reaches behind a day (days since 1970-01-01), 0 where none does.

    A statement whose window is over says nothing of the present one. A business day is within one of UTC's.
    """
    value = stated.values[fact]
    return value if value is not None and stated.observed_us[fact] // _DAY_US + 1 > outside else 0


def _payment_facts(behaviour: Behaviour, stated: Profile, today: int) -> list[tuple[int, int]]:
    """Give days past due, late months, the streak and the ratio of paid to billed, as of a business day."""
    folded = Folded(behaviour.folded_streak, behaviour.folded_month, behaviour.has_folded_late)
    found = conduct(behaviour.statements, behaviour.payments, folded, today)
    if found is None:
        return []
    streak, dpd_max, late_months = found.streak, found.dpd_max, found.late_months
    if found.is_unbroken:
        streak = max(streak, stated.values[_STREAK] or 0)
    outside = year_before(today)
    if behaviour.since_day > outside + 1:
        dpd_max = max(dpd_max, _since(outside, stated, _DPD_MAX))
        late_months = max(late_months, _since(outside, stated, _LATE_MONTHS))
    facts = [
        (_DPD_NOW, _in_range(_DPD_NOW, found.dpd_now)), (_DPD_MAX, _in_range(_DPD_MAX, dpd_max)),
        (_LATE_MONTHS, _in_range(_LATE_MONTHS, late_months)), (_STREAK, _in_range(_STREAK, streak)),
    ]  # fmt: skip
    return [*facts, (_RATIO, found.paid_minor * 10_000 // found.billed_minor)] if found.billed_minor else facts


def _in_range(fact: int, value: int) -> int:
    """Keep what was counted within the range that the vocabulary gives the fact."""
    return min(value, FACTS[fact].highest)
