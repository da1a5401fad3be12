"""Draws: the two-phase use of a limit, and repayments.

Promises that exposure never exceeds the limit in force when it was authorised, that money is conserved (what is
authorised is captured, released or expired; what is captured is owed until it is repaid), and that an expired hold
never counts, whether or not anything ran since. Reads no clock and does no I/O.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.account import (
    APPLICANT,
    CLOSED,
    Account,
    OpenHold,
    available_minor,
    limit_in_force,
    settled,
)
from service.domain.decision import APPROVED, DECLINED, DRAW, Criticality, Outcome
from service.domain.errors import (
    AccountClosed,
    CaptureExceedsHold,
    HoldNotFound,
    HoldOver,
    InvalidRequest,
    NoLimitAssigned,
    RepaymentExceedsDebt,
    TooManyHolds,
    Violation,
)
from service.domain.policy import LIMIT_USED

HOLDS_MAX: Final = 64
"""Most open holds of one account."""


class DrawKind(IntEnum):
    """What a draw command asks for; the numbers are the contract's."""

    AUTHORIZE = 1
    CAPTURE = 2
    VOID = 3
    REPAY = 4


# By names of their own, as the members of `decision.Kind`.
_AUTHORIZE: Final = DrawKind.AUTHORIZE
_VOID: Final = DrawKind.VOID
_OF_A_HOLD: Final = (DrawKind.CAPTURE, DrawKind.VOID)
_REPAY: Final = DrawKind.REPAY


class HoldState(IntEnum):
    """Where a hold stands; the numbers are the contract's. A record says OPEN until asked at a time."""

    OPEN = 1
    CAPTURED = 2
    VOIDED = 3
    EXPIRED = 4


_OPEN: Final = HoldState.OPEN


class Hold(NamedTuple):
    """One authorisation hold; amounts in minor units, times in microseconds since the epoch UTC."""

    account_id: str
    number: int
    state: HoldState
    authorised_minor: int
    captured_minor: int
    authorised_us: int
    expires_us: int
    reference: str = ""
    """The caller's own, of the authorisation."""


class DrawCommand(NamedTuple):
    """One draw, capture, void or repayment to make, validated."""

    caller: str
    request_id: str
    fingerprint: bytes
    account_id: str
    kind: DrawKind
    hold_number: int
    """0 where the command names no hold."""
    amount_minor: int
    currency: str
    is_final: bool
    ttl_us: int
    trace_id: str
    criticality: Criticality = DRAW
    reference: str = ""
    """The caller's own, such as an order's number; empty where none was sent."""


class Posting(NamedTuple):
    """An immutable record of one draw command's outcome; amounts in minor units."""

    number: int
    """Unique and growing, in one row with decisions; 0 before it is entered in a book."""
    previous: int
    """Number of the account's posting before this one, 0 for the first."""
    account_id: str
    kind: DrawKind
    outcome: Outcome
    amount_minor: int
    hold: Hold | None
    """The hold after it."""
    limit_minor: int
    held_minor: int
    outstanding_minor: int
    reasons: tuple[str, ...]
    policy_version: str
    mode_id: str
    caller: str
    request_id: str
    fingerprint: bytes
    trace_id: str
    posted_us: int
    reference: str = ""
    extra_minor: int = 0
    """What a temporary raise added to `limit_minor`; 0 in records of before, which don't tell."""


class Posted(NamedTuple):
    """The answer to a draw command: the record, the account's constant parts, and whether it was made before."""

    posting: Posting
    product: str
    currency: str
    replayed: bool


def hold_at(hold: Hold, now_us: int) -> Hold:
    """Give a hold as it stands at a time."""
    if hold.state is _OPEN and hold.expires_us <= now_us:
        return hold._replace(state=HoldState.EXPIRED)
    return hold


def left_minor(hold: Hold) -> int:
    """Give what of a hold counts against the limit, in minor units."""
    return hold.authorised_minor - hold.captured_minor if hold.state is _OPEN else 0


def post(
    command: DrawCommand, account: Account, hold: Hold | None, policy_version: str, mode_id: str, now_us: int
) -> tuple[Account, Posting]:
    """Carry out one draw command and give the account after it and the record.

    A hold that is authorised has number 0 until the book enters it. Raises AccountClosed, NoLimitAssigned,
    HoldNotFound, HoldOver, CaptureExceedsHold, RepaymentExceedsDebt, TooManyHolds or InvalidRequest; nothing has
    changed then.
    """
    account = settled(account, now_us)
    _check(command, account, hold, now_us)
    outcome, amount_minor = APPROVED, command.amount_minor
    reasons: tuple[str, ...] = ()
    if command.kind is _AUTHORIZE:
        if amount_minor > available_minor(limit_in_force(account), account.held_minor, account.outstanding_minor):
            outcome, reasons = DECLINED, (LIMIT_USED.reason,)
        else:
            account, hold = _authorised(command, account, now_us)
    elif command.kind is _REPAY:
        if amount_minor > account.outstanding_minor:
            raise RepaymentExceedsDebt(
                account_id=account.account_id, asked_minor=str(amount_minor),
                outstanding_minor=str(account.outstanding_minor), currency_code=account.currency,
            )  # fmt: skip
        account = account._replace(outstanding_minor=account.outstanding_minor - amount_minor)
    else:
        assert hold is not None, "the check found it"
        account, hold, amount_minor = _settled_hold(command, account, hold)
    posting = Posting(
        0, account.last_posting, account.account_id, command.kind, outcome, amount_minor, hold, limit_in_force(account),
        account.held_minor, account.outstanding_minor, reasons, policy_version, mode_id, command.caller,
        command.request_id, command.fingerprint, command.trace_id, now_us, command.reference,
        limit_in_force(account) - account.limit_minor,
    )  # fmt: skip
    return account, posting


def _check(command: DrawCommand, account: Account, hold: Hold | None, now_us: int) -> None:
    """Refuse a command that the account's state, the hold's or the currency rules out; what no mending helps first."""
    # What is owed on a closed account can still be paid back, and what it holds be settled.
    if account.status is CLOSED and command.kind is _AUTHORIZE:
        raise AccountClosed(account_id=account.account_id)
    if account.status is APPLICANT:
        raise NoLimitAssigned(account_id=account.account_id)
    if command.kind in _OF_A_HOLD:
        _refuse_over(command, account, hold, now_us)
    if command.currency and command.currency != account.currency:
        what = f"{command.currency} is not the account's currency; send {account.currency}"
        raise InvalidRequest((Violation("amount.currency_code", what),))


def _refuse_over(command: DrawCommand, account: Account, hold: Hold | None, now_us: int) -> None:
    hold_id = f"{command.hold_number:016x}"
    if hold is None or hold.account_id != account.account_id:
        raise HoldNotFound(account_id=account.account_id, hold_id=hold_id)
    state = hold_at(hold, now_us).state
    if state is not _OPEN:
        raise HoldOver(hold_id=hold_id, state=state.name.lower())


def _authorised(command: DrawCommand, account: Account, now_us: int) -> tuple[Account, Hold]:
    if len(account.holds) >= HOLDS_MAX:
        raise TooManyHolds(account_id=account.account_id, open=str(len(account.holds)))
    expires_us = now_us + command.ttl_us
    hold = Hold(account.account_id, 0, _OPEN, command.amount_minor, 0, now_us, expires_us, command.reference)
    holds = (*account.holds, OpenHold(0, command.amount_minor, expires_us))
    return account._replace(holds=holds, held_minor=account.held_minor + command.amount_minor), hold


def _settled_hold(command: DrawCommand, account: Account, hold: Hold) -> tuple[Account, Hold, int]:
    """Capture from an open hold or release it; gives account, hold and the amount that was captured or released."""
    left = left_minor(hold)
    if command.kind is _VOID:
        captured, rest, hold = 0, 0, hold._replace(state=HoldState.VOIDED)
    else:
        captured = command.amount_minor
        if captured > left:
            hold_id = f"{command.hold_number:016x}"
            raise CaptureExceedsHold(
                hold_id=hold_id, asked_minor=str(captured), left_minor=str(left), currency_code=account.currency
            )
        rest = 0 if command.is_final else left - captured
        state = _OPEN if rest else HoldState.CAPTURED
        hold = hold._replace(state=state, captured_minor=hold.captured_minor + captured)
    others = tuple(one for one in account.holds if one.number != hold.number)
    holds = (*others, OpenHold(hold.number, rest, hold.expires_us)) if rest else others
    account = account._replace(
        holds=holds,
        held_minor=account.held_minor - left + rest,
        outstanding_minor=account.outstanding_minor + captured,
    )
    return account, hold, captured or left
