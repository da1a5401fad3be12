"""Statements and payments: what fell due, what came in, and what both come to by a business day.

Promises that a payment goes to the open statements oldest due first and never to one that was issued after it, be it
later on the same day, whichever was heard of first; that a payment on the due date is on time until the day is over;
and that months are calendar months of due dates, in which several statements may fall. Reads no clock.
"""

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

from service.domain.days import month_of, year_before
from service.domain.errors import BehaviourFull
from service.domain.money import SUM_MAX

NONE_FOLDED: Final = -1
"""The streak before the first statement has left the window."""
PAYMENTS_A_DAY: Final = 24
"""So many times of a day are told apart; where there are more, each payment counts from the end of its hour."""
HOUR_US: Final = 3_600_000_000
DAY_END_US: Final = 1 << 62
"""The time of what is known to have happened on a day, but not when: after everything else of the day."""
DAY_START_US: Final = 0
"""As DAY_END_US, before everything else of the day."""


Payment = tuple[int, int, int]
"""Business day, time in microseconds UTC or DAY_END_US, sum in minor units."""


class Statement(NamedTuple):
    """What fell due; amounts in minor units, days since 1970-01-01, times in microseconds UTC."""

    due_day: int
    issued_day: int
    issued_us: int
    """DAY_START_US where only the day is known."""
    amount_minor: int
    paid_before_minor: int = 0
    """What payments before the kept window have paid of it."""
    is_counted: bool = False
    """Whether the folded streak knows of it already."""


class Fate(NamedTuple):
    """What became of a statement by some day."""

    statement: Statement
    paid_minor: int
    paid_day: int
    """Day of the payment that settled it; 0 while it is open."""


class Folded(NamedTuple):
    """What is left of the statements that have left the window."""

    streak: int
    """Months in a row, up to the newest folded one, in which everything due was paid on time; NONE_FOLDED before."""
    month: int
    """The newest folded month, 0 before the first: statements of one month may be folded at different times."""
    has_late: bool
    """Whether any statement was paid late or not at all."""


class Conduct(NamedTuple):
    """What statements and payments come to by a day."""

    dpd_now: int
    """Days past due of the oldest open statement."""
    dpd_max: int
    """Most days past due, of statements that were open within the last twelve months."""
    late_months: int
    """Months of the last twelve in which something fell due that was paid late, or is past due."""
    billed_minor: int
    paid_minor: int
    streak: int
    """Months in a row, up to the newest, in which everything that fell due was paid on time."""
    is_unbroken: bool
    """Whether nothing that is known of was ever late."""


def fates(statements: Sequence[Statement], payments: Sequence[Payment], upto_day: int) -> list[Fate]:
    """Let payments up to a day pay the statements; both are sorted. Takes n log n of both together."""
    paid = [statement.paid_before_minor for statement in statements]
    # What was settled before the window was settled in time: it is not due within the folded days.
    days = [
        statement.issued_day if statement.paid_before_minor >= statement.amount_minor else 0 for statement in statements
    ]
    unissued = sorted((one.issued_day, one.issued_us, place) for place, one in enumerate(statements) if not days[place])
    unissued.reverse()
    # Places of statements that are issued and not settled, a heap: the place follows the due date.
    unsettled: list[int] = []
    for day, paid_us, amount in payments:
        if day > upto_day:
            break
        left = amount
        while unissued and unissued[-1][:2] <= (day, paid_us):
            heappush(unsettled, unissued.pop()[2])
        while left and unsettled:
            place = unsettled[0]
            part = min(left, statements[place].amount_minor - paid[place])
            paid[place] += part
            left -= part
            if paid[place] == statements[place].amount_minor:
                days[place] = day
                heappop(unsettled)
    return [Fate(*fate) for fate in zip(statements, paid, days, strict=True)]


def conduct(statements: Sequence[Statement], payments: Sequence[Payment], before: Folded, today: int) -> Conduct | None:
    """Give what statements and payments come to by a business day; None where nothing has fallen due or was paid."""
    outside = year_before(today)
    dpd_now = dpd_max = billed = paid = 0
    streak, month, has_late = before
    late_months: set[int] = set()
    for statement, paid_minor, paid_day in fates(statements, payments, today):
        due_day = statement.due_day
        if statement.issued_day > today or (due_day >= today and not paid_day):
            continue
        until = paid_day or today
        late_days = max(until - due_day, 0)
        if not paid_day:
            dpd_now = max(dpd_now, late_days)
        if until > outside:
            dpd_max = max(dpd_max, late_days)
        if due_day > outside:
            billed, paid = billed + statement.amount_minor, paid + paid_minor
            if late_days:
                late_months.add(month_of(due_day))
        if not statement.is_counted:
            streak, month, has_late = counted(streak, month, has_late, due_day, is_late=late_days > 0)
    if streak == NONE_FOLDED:
        return None
    return Conduct(dpd_now, dpd_max, len(late_months), billed, paid, streak, not has_late)


def counted(streak: int, month: int, has_late: bool, due_day: int, *, is_late: bool) -> Folded:
    """Count one more statement, not due before those that were counted, into a streak of months.

    One late statement spoils its month, whatever else of the month was paid on time.
    """
    due_month = month_of(due_day)
    if is_late:
        return Folded(0, due_month, has_late=True)
    return Folded(max(streak, 0) + (due_month != month), due_month, has_late)


def folded(
    statements: Sequence[Statement], payments: Sequence[Payment], before: Folded, upto_day: int
) -> tuple[list[Statement], Folded]:
    """Fold what fell due up to a day into what later facts need of it; gives the statements that are kept, too.

    No event from the folded days may be taken any more.
    """
    kept = []
    for statement, paid_minor, paid_day in fates(statements, payments, upto_day):
        if statement.due_day > upto_day:
            kept.append(statement._replace(paid_before_minor=paid_minor))
            continue
        if not statement.is_counted:
            is_late = not 0 < paid_day <= statement.due_day
            before = counted(*before, statement.due_day, is_late=is_late)
        if not paid_day:
            kept.append(statement._replace(paid_before_minor=paid_minor, is_counted=True))
    return kept, before


def enter_payment(payments: list[Payment], day: int, paid_us: int, amount_minor: int) -> None:
    """Enter a payment among sorted ones, in place; raises BehaviourFull, and nothing has changed then.

    What it makes of a day depends on the payments of the day alone, never on which of them came first.
    """
    place = start = end = bisect_left(payments, (day, paid_us))
    while start and payments[start - 1][0] == day:
        start -= 1
    while end < len(payments) and payments[end][0] == day:
        end += 1
    if start == end:
        payments.insert(place, (day, paid_us, amount_minor))
        return
    total = amount_minor + sum(payment[2] for payment in payments[start:end])
    if total > SUM_MAX:
        raise BehaviourFull(field="repayment.amount", what="payments of a business day", most=str(SUM_MAX))
    if payments[start][1] == DAY_END_US:
        # Kept by day only, before times counted.
        payments[start:end] = [(day, DAY_END_US, total)]
        return
    is_by_hour = payments[end - 1][1] == DAY_END_US
    if is_by_hour:
        paid_us = hour_end_us(paid_us)
        place = bisect_left(payments, (day, paid_us), start, end)
    if place < end and payments[place][1] == paid_us:
        payments[place] = (day, paid_us, payments[place][2] + amount_minor)
        return
    payments.insert(place, (day, paid_us, amount_minor))
    if not is_by_hour and end - start == PAYMENTS_A_DAY:
        payments[start : end + 1] = _by_hour(payments[start : end + 1])


def hour_end_us(paid_us: int) -> int:
    """Give the last microsecond of a time's hour (UTC)."""
    return paid_us - paid_us % HOUR_US + HOUR_US - 1


def _by_hour(payments: Sequence[Payment]) -> list[Payment]:
    """Put the payments of one day together by their hours; nothing, paid at the day's end, says that it was done."""
    sums: dict[int, int] = {}
    for _, paid_us, amount_minor in payments:
        hour_us = hour_end_us(paid_us)
        sums[hour_us] = sums.get(hour_us, 0) + amount_minor
    day = payments[0][0]
    return [*((day, hour_us, total) for hour_us, total in sums.items()), (day, DAY_END_US, 0)]
