"""Behaviour as a store keeps it: msgpack, and what was written before times of a day counted.

Promises that what was written before reads as what it meant then: a payment counts for statements of its own day, as
if it had come at the day's end. What no longer stands in it, months of a streak that was counted in statements, is
taken for no more than the months that the streak can have lasted.
"""

from typing import Final, NamedTuple

import msgspec

from service.domain.behaviour import KEPT_DAYS, Behaviour, Flag, ToldFact
from service.domain.days import month_of
from service.domain.policy import DAY_US
from service.domain.statements import DAY_END_US, DAY_START_US, NONE_FOLDED, Statement

_PARTS_BEFORE: Final = 13
"""How many parts a behaviour had; it never has so few again."""
_HEAD_BEFORE: Final = 0x90 | _PARTS_BEFORE
"""The first byte of an array of so many."""
assert len(Behaviour._fields) > _PARTS_BEFORE, "the number of parts tells what was written before"


class _StatementBefore(NamedTuple):
    due_day: int
    issued_day: int
    amount_minor: int
    paid_before_minor: int = 0
    is_counted: bool = False


class _BehaviourBefore(NamedTuple):
    since_day: int
    newest_us: int
    taken_us: int
    transactions: tuple[tuple[int, int, int], ...]
    enquiries: tuple[tuple[int, int, int], ...]
    flags: tuple[Flag, ...]
    told: tuple[ToldFact, ...]
    statements: tuple[_StatementBefore, ...]
    payments: tuple[tuple[int, int], ...]
    """Day, sum in minor units."""
    folded_streak: int
    """Statements in a row."""
    has_folded_late: bool
    has_enquiries: bool
    has_transactions: bool


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Behaviour).decode
_decode_before: Final = msgspec.msgpack.Decoder(_BehaviourBefore).decode


def behaviour_bytes(behaviour: Behaviour | None) -> bytes:
    """Write what events left of an account; nothing for nothing."""
    return _encode(behaviour) if behaviour is not None else b""


def behaviour_of(content: bytes) -> Behaviour | None:
    """Read what events left of an account, whenever it was written."""
    if not content:
        return None
    return _decode(content) if content[0] != _HEAD_BEFORE else _brought_up(_decode_before(content))


def _brought_up(before: _BehaviourBefore) -> Behaviour:
    streak, month = before.folded_streak, 0
    if streak != NONE_FOLDED:
        # The newest statement that can have been folded, and the oldest there can have been.
        month = month_of(max(before.taken_us // DAY_US - KEPT_DAYS, before.since_day))
        streak = min(streak, month - month_of(before.since_day) + 1)
    return Behaviour(
        *before[:7],
        statements=tuple(
            Statement(due_day, issued_day, DAY_START_US, amount, paid_before, is_counted)
            for due_day, issued_day, amount, paid_before, is_counted in before.statements
        ),
        payments=tuple((day, DAY_END_US, amount_minor) for day, amount_minor in before.payments),
        folded_streak=streak,
        has_folded_late=before.has_folded_late,
        has_enquiries=before.has_enquiries,
        has_transactions=before.has_transactions,
        folded_month=month,
    )
