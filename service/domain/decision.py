"""A decision: what was asked, what came of it, and everything that it rested on.

Promises that the record alone, with its policy version, is enough to decide again and get the same bits.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.account import UNBOUNDED, Account, Course, Growth, Status, Temporary
from service.domain.facts import Profile
from service.domain.policy import Ground
from service.domain.rules import CURRENT


class Kind(IntEnum):
    """What a decision is asked to do; the numbers are the contract's."""

    ASSIGN = 1
    RAISE = 2
    REDUCE = 3
    REVIEW = 4
    IMPORT = 5
    TEMPORARY = 6
    APPEAL = 7


# Members by names of their own: to find one on its class takes Python 3.11 six times as long, and rules ask often.
ASSIGN: Final = Kind.ASSIGN
RAISE: Final = Kind.RAISE
REDUCE: Final = Kind.REDUCE
REVIEW: Final = Kind.REVIEW
IMPORT: Final = Kind.IMPORT
TEMPORARY: Final = Kind.TEMPORARY
APPEAL: Final = Kind.APPEAL


class Outcome(IntEnum):
    """What came of a decision; the numbers are the contract's."""

    APPROVED = 1
    UNCHANGED = 2
    DECLINED = 3
    REFERRED = 4


APPROVED: Final = Outcome.APPROVED
UNCHANGED: Final = Outcome.UNCHANGED
DECLINED: Final = Outcome.DECLINED
REFERRED: Final = Outcome.REFERRED


class Criticality(IntEnum):
    """How much a call matters; what is shed last comes first."""

    DRAW = 0
    """Somebody stands at a till. By the RPC alone; no caller can ask for it."""
    INTERACTIVE = 1
    BATCH = 2


DRAW: Final = Criticality.DRAW
INTERACTIVE: Final = Criticality.INTERACTIVE
BATCH: Final = Criticality.BATCH


class Moment(NamedTuple):
    """When a batch is decided: microseconds since the epoch UTC, and the business day (days since 1970-01-01)."""

    now_us: int
    business_day: int
    portfolio_room_minor: int = UNBOUNDED
    """What the day's portfolio budget leaves for raises, in minor units."""
    today: int = 0
    """The business day of the clock where the decision counts for another one; 0 where it does not."""
    is_budget_spent: bool = False
    """Whether the portfolio's budget of that day can't be given out any more as the days in order would have."""


class Ask(NamedTuple):
    """What a decision is asked to give where no rule says how much; minor units, microseconds since the epoch UTC."""

    asked_minor: int
    """How much more (TEMPORARY), or the limit to give (APPEAL)."""
    until_us: int
    """When a temporary raise ends; 0 with an appeal."""
    is_ordered: bool
    """By a person of the lender."""
    course: Course | None = None
    """With APPEAL: how the limit would have moved by now had it been decided rightly. It takes the place of how it did
    move, so that waits and caps count what is right; None where that can't be told, as in records of before."""


class DecideCommand(NamedTuple):
    """One decision to make, validated."""

    caller: str
    request_id: str
    fingerprint: bytes
    account_id: str
    product: str
    """Empty where the account's own is meant."""
    kind: Kind
    news: tuple[tuple[int, int], ...]
    """Pairs of fact index and value."""
    news_currencies: tuple[tuple[int, str], ...]
    """Pairs of money fact index and ISO 4217 code, to be held against the account's."""
    expected_version: int
    trace_id: str
    import_limit_minor: int = 0
    import_outstanding_minor: int = 0
    import_currency: str = ""
    """With `Kind.IMPORT`: the limit and debt taken over."""
    criticality: Criticality = Criticality.INTERACTIVE
    business_day: int = 0
    """The business day that it counts for; 0 for the day when it is decided."""
    asked: Ask | None = None
    """With `Kind.TEMPORARY` and `Kind.APPEAL`."""
    asked_currency: str = ""
    news_us: int = 0
    """When the news was observed, in microseconds since the epoch UTC; 0 for the time when it is decided."""


class Standing(NamedTuple):
    """Where the account stood when it was decided on; amounts in minor units."""

    limit_minor: int
    exposure_minor: int
    profile: Profile
    growth: Growth
    asked: Ask | None = None
    rules: int = CURRENT
    """Version of the rules of judging (`domain.rules`)."""


class Verdict(NamedTuple):
    """What a policy says of a standing: outcome, limit (minor units), points, and the grounds, weightiest first."""

    outcome: Outcome
    new_limit_minor: int
    points: tuple[int, ...]
    grounds: tuple[Ground, ...]
    notice_days: int
    promised_minor: int = 0
    """The raise that the rules promise, before any cap, budget, referral or playbook withholds of it."""


class Decision(NamedTuple):
    """An immutable record of one decision."""

    number: int
    """Unique and growing; 0 before it is entered in a book."""
    previous: int
    """Number of the account's decision before this one, 0 for the first."""
    account_id: str
    account_version: int
    kind: Kind
    outcome: Outcome
    status: Status
    """The account's status after the decision."""
    old_limit_minor: int
    new_limit_minor: int
    held_minor: int
    outstanding_minor: int
    profile: Profile
    growth: Growth
    """As it stood before the decision."""
    points: tuple[int, ...]
    reasons: tuple[str, ...]
    policy_version: str
    mode_id: str
    activations: tuple[str, ...]
    caller: str
    request_id: str
    fingerprint: bytes
    trace_id: str
    decided_us: int
    business_day: int
    notice_day: int
    """Last business day to tell the customer of an adverse action; 0 where none is owed."""
    promised_minor: int = 0
    """The raise that the policy promised for the day, before caps, budget and playbooks; 0 where none."""
    asked: Ask | None = None
    """With `Kind.APPEAL` and `Kind.TEMPORARY`; the latter's new limit is what may be owed until then, its own stays."""
    temporary: Temporary | None = None
    """The temporary raise that is in force after the decision."""
    rules: int = CURRENT
    """Version of the rules of judging that it was made by (`domain.rules`)."""


class Decided(NamedTuple):
    """The answer to a decision: the record, the account's constant parts, and whether it was made before."""

    decision: Decision
    product: str
    currency: str
    replayed: bool


def standing_of(account: Account, profile: Profile, growth: Growth, asked: Ask | None = None) -> Standing:
    """Give where an account stands, with a profile that may hold news."""
    return Standing(account.limit_minor, account.held_minor + account.outstanding_minor, profile, growth, asked)


def own_limit_minor(decision: Decision) -> int:
    """Give the account's own limit after a decision, in minor units, without what a temporary raise adds."""
    return decision.old_limit_minor if decision.kind is TEMPORARY else decision.new_limit_minor


def limit_after_minor(decision: Decision) -> int:
    """Give what may be owed right after a decision, in minor units."""
    extra = decision.temporary.extra_minor if decision.temporary is not None else 0
    return own_limit_minor(decision) + extra


def recorded_standing(decision: Decision) -> Standing:
    """Give where the account stood at a recorded decision, to be judged by the rules that made it."""
    exposure_minor = decision.held_minor + decision.outstanding_minor
    return Standing(
        decision.old_limit_minor, exposure_minor, decision.profile, decision.growth, decision.asked, decision.rules
    )  # fmt: skip


def is_cut(decision: Decision) -> bool:
    """Claim that a decision lowered the account's limit."""
    return decision.new_limit_minor < decision.old_limit_minor


def is_adverse(decision: Decision) -> bool:
    """Claim that a decision went against the customer: refused, passed to a person, or cut."""
    return is_cut(decision) or decision.outcome in (DECLINED, REFERRED)
