"""An account: limit, exposure, profile, and how its limit moved of late.

Promises that what growth caps and cool-downs ask can be answered from the account alone, in bounded space, of today and
of every business day that may still be run: movements of two months, the last raise before them and the days of the
last raise and cut.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.behaviour import Behaviour, effective
from service.domain.facts import NOTHING_KNOWN, Profile
from service.domain.money import ratio_bp

WINDOW_DAYS: Final = 30
"""Length of the rolling window of the growth caps, in business days, today included."""

DAYS_BACK_MAX: Final = 31
"""How many business days before today a decision may count for."""
KEPT_DAYS: Final = WINDOW_DAYS + DAYS_BACK_MAX
"""So many business days of movements an account keeps: the window of the oldest day that may be run."""

UNBOUNDED: Final = -1
"""The room of a portfolio budget that there is none of, or that leaves enough."""

NEVER: Final = -1
"""The day of a raise or cut that has not happened."""


class Status(IntEnum):
    """Where an account stands in its life; the numbers are the contract's."""

    APPLICANT = 1
    ACTIVE = 2
    CLOSED = 3


# By names of their own, as the members of `decision.Kind`.
APPLICANT: Final = Status.APPLICANT
ACTIVE: Final = Status.ACTIVE
CLOSED: Final = Status.CLOSED


class Movement(NamedTuple):
    """How far the limit moved on one business day (days since 1970-01-01), in minor units."""

    day: int
    raised_minor: int
    cut_minor: int


class Course(NamedTuple):
    """Where a limit has come to and how it moved of late, as an account holds it: minor units, days since 1970."""

    limit_minor: int
    last_raise_day: int
    last_cut_day: int
    movements: tuple[Movement, ...]


class OpenHold(NamedTuple):
    """What of an authorisation hold counts against the limit, and until when (microseconds since the epoch UTC)."""

    number: int
    left_minor: int
    expires_us: int


class Temporary(NamedTuple):
    """What a limit is raised by until a time: minor units, microseconds since the epoch UTC."""

    extra_minor: int
    until_us: int


class Account(NamedTuple):
    """One customer's line of credit; amounts in minor units of its one currency."""

    account_id: str
    product: str
    currency: str
    status: Status
    limit_minor: int
    held_minor: int
    outstanding_minor: int
    version: int
    profile: Profile
    """What was stated; `behaviour.effective` gives what counts."""
    last_raise_day: int
    last_cut_day: int
    movements: tuple[Movement, ...]
    last_decision: int
    """Number of the newest decision, 0 before the first."""
    chain: bytes
    """Head of the account's hash chain of decisions, opaque to the domain."""
    holds: tuple[OpenHold, ...] = ()
    """Open holds, expired ones included until the account is settled; `held_minor` is their sum."""
    last_posting: int = 0
    """Number of the newest posting, 0 before the first."""
    postings_chain: bytes = b""
    """Head of the account's hash chain of postings, opaque to the domain."""
    temporary: Temporary | None = None
    """A raise that ends by itself; one that is over stands here until the account is settled."""
    behaviour: Behaviour | None = None
    """What events left; None before the first."""
    limit_since_day: int = 0
    """First business day on which it has a limit; 0 where the limit was taken over: it was there before."""


class LaterRaise(NamedTuple):
    """A raise on a later day than the one that a decision counts for: the limit before it, and by how much."""

    day: int
    limit_minor: int
    raised_minor: int


class Later(NamedTuple):
    """What had moved of a limit on days after the one that a decision counts for; minor units, days since 1970."""

    moved_minor: int
    """By how much, raises less cuts: the limit of that day is today's without it."""
    raised_window_minor: int
    """Raised in the window that ends with the day; the growth beside it has the fullest window that holds the day."""
    raises: tuple[LaterRaise, ...]
    """In order; the limits are right where no cut is among what moved."""
    is_cut: bool
    raise_days: int
    """On how many days it was raised, before and after, of those that are kept."""
    is_budget_spent: bool = False
    """Whether later days of the product were decided while earlier ones left somebody short of its budget."""


class Growth(NamedTuple):
    """What growth caps and cool-downs need to know at decision time; amounts in minor units, days since 1970."""

    raised_today_minor: int
    raised_window_minor: int
    cut_today_minor: int
    last_raise_day: int
    last_cut_day: int
    portfolio_room_minor: int = UNBOUNDED
    """What the day's portfolio budget leaves, where it is less than the policy promised."""
    temporary_minor: int = 0
    """What a temporary raise in force adds to what may be owed."""
    later: Later | None = None
    """Where the limit moved on later days: None for a decision that is in the order of its dates."""


NO_GROWTH: Final = Growth(0, 0, 0, NEVER, NEVER)


def opened(account_id: str, product: str, currency: str) -> Account:
    """Open an account without a limit."""
    return Account(
        account_id, product, currency, Status.APPLICANT, 0, 0, 0, 0, NOTHING_KNOWN, NEVER, NEVER, (), 0, b""
    )  # fmt: skip


def has_limit(account: Account, day: int) -> bool:
    """Claim that an account that is active now had a limit on a business day."""
    return account.status is ACTIVE and account.limit_since_day <= day


def settled(account: Account, now_us: int) -> Account:
    """Give an account as it stands at a time (microseconds since the epoch UTC).

    Expired holds count no more, and a temporary raise that is over has fallen back.
    """
    if account.temporary is not None and account.temporary.until_us <= now_us:
        account = account._replace(temporary=None)
    if not account.holds or all(hold.expires_us > now_us for hold in account.holds):
        return account
    holds = tuple(hold for hold in account.holds if hold.expires_us > now_us)
    return account._replace(holds=holds, held_minor=sum(hold.left_minor for hold in holds))


def limit_in_force(account: Account) -> int:
    """Give what may be owed by a settled account, in minor units: its limit and what a temporary raise adds."""
    return account.limit_minor + (account.temporary.extra_minor if account.temporary is not None else 0)


def known(account: Account, today: int) -> Profile:
    """Give what is known of an account on a business day: what was stated, and what its events tell."""
    return effective(account.profile, account.behaviour, today)


def available_minor(limit_minor: int, held_minor: int, outstanding_minor: int) -> int:
    """Give what may still be drawn, in minor units; never negative."""
    return max(limit_minor - held_minor - outstanding_minor, 0)


def utilisation_bp(limit_minor: int, exposure_minor: int) -> int:
    """Give exposure over limit in basis points, capped at 10,000."""
    return min(ratio_bp(exposure_minor, limit_minor), 10_000)


def growth(account: Account, day: int) -> Growth:
    """Sum the movements of a settled account that count on a business day."""
    temporary = account.temporary
    extra = temporary.extra_minor if temporary is not None else 0
    raised_today = raised_window = cut_today = 0
    if account.movements:
        since = day - WINDOW_DAYS
        for moved_day, raised, cut in reversed(account.movements):
            if moved_day <= since:
                break
            raised_window += raised
            if moved_day == day:
                raised_today = raised
                cut_today = cut
    return Growth(
        raised_today, raised_window, cut_today, account.last_raise_day, account.last_cut_day, UNBOUNDED, extra
    )  # fmt: skip


def growth_then(account: Account, day: int) -> Growth:
    """Sum the movements that count on a business day that may be over, for a raise that was promised then.

    Where the limit moved on later days, the growth says what they were, and the caps' window is the fullest of those
    that hold the day, before it or after it.
    """
    movements = account.movements
    later = tuple(movement for movement in movements if movement.day > day)
    if not later:
        return growth(account, day)
    earlier = movements[: len(movements) - len(later)]
    before = growth(account._replace(movements=earlier), day)
    last_raise_day, last_cut_day = before.last_raise_day, before.last_cut_day
    if last_raise_day > day:
        last_raise_day = max((movement.day for movement in earlier if movement.raised_minor), default=NEVER)
    if last_cut_day > day:
        last_cut_day = max((movement.day for movement in earlier if movement.cut_minor), default=NEVER)
    return before._replace(
        raised_window_minor=max(
            before.raised_window_minor,
            *(_raised_until(movements, one.day) for one in later if one.day < day + WINDOW_DAYS),
            0,
        ),
        last_raise_day=last_raise_day,
        last_cut_day=last_cut_day,
        later=_later(account, later, before),
    )


def _later(account: Account, later: tuple[Movement, ...], before: Growth) -> Later:
    """Give what came after a day whose growth was `before`."""
    moved_minor = sum(movement.raised_minor - movement.cut_minor for movement in later)
    limit_minor, raises = account.limit_minor - moved_minor, []
    for movement in later:
        if movement.raised_minor:
            raises.append(LaterRaise(movement.day, limit_minor, movement.raised_minor))
        limit_minor += movement.raised_minor - movement.cut_minor
    return Later(
        moved_minor, before.raised_window_minor, tuple(raises), any(movement.cut_minor for movement in later),
        sum(movement.raised_minor > 0 for movement in account.movements),
    )  # fmt: skip


def _raised_until(movements: tuple[Movement, ...], day: int) -> int:
    """Sum what a limit was raised by in the window that ends with a day, in minor units."""
    return sum(movement.raised_minor for movement in movements if day - WINDOW_DAYS < movement.day <= day)


def is_within(last_day: int, day: int, days: int) -> bool:
    """Claim that a movement on `last_day` (NEVER where there was none) lies less than so many days before a day.

    A movement that lies ahead counts: a clock was set back.
    """
    return last_day != NEVER and day - last_day < days


def moved(movements: tuple[Movement, ...], day: int, change_minor: int) -> tuple[Movement, ...]:
    """Enter a change of limit (minor units, negative for a cut) and forget what no day that may be run can ask for.

    The last raise from before what is kept stays: a wait may be longer.
    """
    raised, cut = (change_minor, 0) if change_minor > 0 else (0, -change_minor)
    later: tuple[Movement, ...] = ()
    while movements and movements[-1].day > day:
        later = (movements[-1], *later)
        movements = movements[:-1]
    if movements and movements[-1].day == day:
        today = movements[-1]
        raised, cut = today.raised_minor + raised, today.cut_minor + cut
        movements = movements[:-1]
    oldest = (later[-1].day if later else day) - KEPT_DAYS
    if movements and movements[0].day <= oldest:
        last_raise = max((one.day for one in movements if one.day <= oldest and one.raised_minor), default=NEVER)
        movements = tuple(one for one in movements if one.day > oldest or one.day == last_raise)
    return (*movements, Movement(day, raised, cut), *later)
