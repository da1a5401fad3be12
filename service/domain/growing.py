"""Growing: a behaviour while events are taken into it, several at a time.

Promises the state that taking them one by one would leave, that an event which is refused leaves no mark, and that the
state of one account is bounded. Lists that change in place, because a feed sends an account's events together and to
make a Behaviour anew for each of them takes longer than to take it.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Final

from service.domain.behaviour import (
    KEPT_DAYS,
    MONTH_DAYS,
    Behaviour,
    Event,
    EventKind,
    Flag,
    ToldFact,
)
from service.domain.errors import BehaviourFull
from service.domain.money import SUM_MAX
from service.domain.statements import Folded, Statement, enter_payment, folded

STATEMENTS_MAX: Final = 512
"""One a day for as long as they are kept, and some to come."""
FLAGS_MAX: Final = 32

_NEVER_DAY: Final = 1 << 31
_UNGROWN: Final = Behaviour(since_day=_NEVER_DAY, newest_us=0, taken_us=0)
_TRANSACTION: Final = EventKind.TRANSACTION
_ENQUIRY: Final = EventKind.ENQUIRY


class Growing:
    """What Behaviour holds, under the same names, while events change it."""

    __slots__ = (
        "_now_us", "_outside_day", "_upto_day", "enquiries", "flags", "folded_month", "folded_streak", "has_enquiries",
        "has_folded_late", "has_transactions", "newest_us", "payments", "since_day", "statements", "told",
        "transactions",
    )  # fmt: skip

    def __init__(self, behaviour: Behaviour | None, today: int, now_us: int) -> None:
        """Begin with what an account has, on a business day (days since 1970-01-01) and at a time (UTC)."""
        (
            self.since_day, self.newest_us, _, transactions, enquiries, self.flags, self.told, statements, payments,
            self.folded_streak, self.has_folded_late, self.has_enquiries, self.has_transactions, self.folded_month,
        ) = behaviour if behaviour is not None else _UNGROWN  # fmt: skip
        self.transactions, self.enquiries = list(transactions), list(enquiries)
        self.statements, self.payments = list(statements), list(payments)
        self._outside_day, self._upto_day, self._now_us = today - MONTH_DAYS, today - KEPT_DAYS, now_us

    def behaviour(self) -> Behaviour | None:
        """Give the state after what was taken; None where nothing ever was."""
        if self.since_day == _NEVER_DAY:
            return None
        return Behaviour._make(
            (
                self.since_day, self.newest_us, self._now_us, tuple(self.transactions), tuple(self.enquiries),
                self.flags, self.told, tuple(self.statements), tuple(self.payments), self.folded_streak,
                self.has_folded_late, self.has_enquiries, self.has_transactions, self.folded_month,
            )
        )  # fmt: skip

    def take(self, event: Event) -> None:
        """Take one more event; raises BehaviourFull where the state would outgrow its bounds."""
        kind, occurred_us, day = event.kind, event.occurred_us, event.day
        if kind is _TRANSACTION:
            self._count(self.transactions, day, event.amount_minor)
            self.has_transactions = True
        elif kind is _ENQUIRY:
            self.has_enquiries = True
            self._count(self.enquiries, day, event.amount_minor)
        else:
            self._take_rarer(kind, event)
        if day < self.since_day:  # noqa: PLR1730 - `min` and `max` take five times as long, and are met by every event.
            self.since_day = day
        if occurred_us > self.newest_us:  # noqa: PLR1730
            self.newest_us = occurred_us

    def _count(self, rows: list[tuple[int, int, int]], day: int, amount: int) -> None:
        """Count one more on a day, with its amount, and drop the days that lie outside the window."""
        outside_day = self._outside_day
        if rows and rows[0][0] <= outside_day:
            del rows[: bisect_left(rows, (outside_day + 1,))]
        if day > outside_day:
            place = bisect_left(rows, (day,))
            if place < len(rows) and rows[place][0] == day:
                _, count, total = rows[place]
                total += amount
                if total > SUM_MAX:
                    what = "transactions of a business day"
                    raise BehaviourFull(field="transaction.amount", what=what, most=str(SUM_MAX))
                rows[place] = (day, count + 1, total)
            else:
                rows.insert(place, (day, 1, amount))

    def _take_rarer(self, kind: EventKind, event: Event) -> None:
        if kind is EventKind.REPAYMENT:
            enter_payment(self.payments, event.day, event.occurred_us, event.amount_minor)
            self._keep(*self._fold(self.statements))
        elif kind is EventKind.STATEMENT:
            statements = self.statements.copy()
            insort(statements, Statement(event.due_day, event.day, event.occurred_us, event.amount_minor))
            kept, left = self._fold(statements)
            if len(kept) > STATEMENTS_MAX:
                raise BehaviourFull(what="statements", most=str(STATEMENTS_MAX))
            self._keep(kept, left)
        elif kind is EventKind.MISUSE_FLAG:
            self.flags = _flagged(self.flags, event)
        else:
            self.told = _told(self.told, event)

    def _fold(self, statements: list[Statement]) -> tuple[list[Statement], Folded | None]:
        """Fold what lies so far back that no event from there is taken any more; None where nothing does."""
        upto_day, payments = self._upto_day, self.payments
        if not ((payments and payments[0][0] <= upto_day) or (statements and statements[0].due_day <= upto_day)):
            return statements, None
        before = Folded(self.folded_streak, self.folded_month, self.has_folded_late)
        return folded(statements, payments, before, upto_day)

    def _keep(self, statements: list[Statement], left: Folded | None) -> None:
        self.statements = statements
        if left is not None:
            self.folded_streak, self.folded_month, self.has_folded_late = left
            del self.payments[: bisect_left(self.payments, (self._upto_day + 1,))]


def _flagged(flags: Sequence[Flag], event: Event) -> tuple[Flag, ...]:
    """Keep the newest word on each finding; of two at once the one that raises it counts."""
    known = {flag.name: flag for flag in flags}
    news = Flag(event.flag, event.occurred_us, event.is_raised)
    before = known.get(event.flag)
    if before is None or before[1:] < news[1:]:
        known[event.flag] = news
    if len(known) > FLAGS_MAX:
        raise BehaviourFull(what="misuse flags", most=str(FLAGS_MAX))
    return tuple(sorted(known.values()))


def _told(told: Sequence[ToldFact], event: Event) -> tuple[ToldFact, ...]:
    """Keep the newest value of each fact; of two at once the lower one counts."""
    known = {one.fact: one for one in told}
    for fact, value in event.news:
        before = known.get(fact)
        if before is None or (before.occurred_us, -before.value) < (event.occurred_us, -value):
            known[fact] = ToldFact(fact, event.occurred_us, value)
    return tuple(sorted(known.values()))
