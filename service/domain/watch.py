"""What watches and tells: messages to the outside, engines and what they are made of, guards' baselines.

Promises records only; who writes and reads them stands in the engine.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.decision import Decided, Kind
from service.domain.entitlement import RUN_CALLER
from service.domain.facts import INDEX, NEVER_OBSERVED, Profile

DAY_US: Final = 86_400_000_000
NEVER_ASKED: Final = frozenset((Kind.IMPORT, Kind.APPEAL))
"""Kinds that are recorded and that no caller asks for."""
BEHAVIOUR: Final = tuple(
    INDEX[name]
    for name in (
        "on_time_streak_months", "payment_ratio_bp", "dpd_now", "dpd_max_12m", "late_months_12m", "transactions_30d",
        "mean_transaction",
    )
)  # fmt: skip
"""Facts that a feed of behaviour keeps fresh; where none of them gets younger, the feed has gone quiet."""


class MessageState(IntEnum):
    """What became of a message."""

    WAITING = 0
    DELIVERED = 1
    DEAD = 2
    """Given up after the most attempts; it stays to be looked at."""


class Message(NamedTuple):
    """One message of the outbox; `sequence` is its id for receivers, times in microseconds since the epoch UTC."""

    sequence: int
    topic: str
    severity: str
    """"info", "warning" or "critical"."""
    body: str
    """An alert's JSON, or a notice's kind: its text is made of the record when it leaves."""
    created_us: int
    due_us: int
    attempts: int
    state: MessageState
    account_id: str = ""
    """Whom a notice is for; empty for alerts."""
    record: int = 0
    """Number of the decision or posting that a notice is about; 0 for alerts."""


class EngineSeen(NamedTuple):
    """One engine that serves the store, and what it is made of: three SHA-256, shortened to 16 digits."""

    engine_id: str
    build: str
    policy_compiler: str
    playbooks: str
    seen_us: int


class Baseline(NamedTuple):
    """What guards hold the present against, for one product; 0 before it is stored."""

    version: int
    product: str
    learned_us: int
    decisions: int
    learned_by: str
    content: str
    """JSON: counts by signal."""
    key: str = ""
    """With the fingerprint, of the request of whoever asked for it; empty for one that guards learned by themselves."""
    fingerprint: bytes = b""
    reason: str = ""


class Look(NamedTuple):
    """What guards see of one decision."""

    number: int
    product: str
    kind: Kind
    move: int
    """1 where the limit rose, -1 where it fell, 0 where it stayed."""
    is_plain: bool
    """Made without a playbook."""
    values: tuple[int | None, ...]
    """Facts by index."""
    score: int | None
    behaviour_days: int | None
    """Age of the youngest behaviour fact in whole days; missing where none is known."""
    decided_us: int
    is_asked: bool = True
    """A caller asked for it. Neither what the daily run decides (only who is due), nor what is taken over, nor what an
    appeal wins is like the rest."""


class Complaint(NamedTuple):
    """That a customer of a product is upset, in microseconds since the epoch UTC."""

    product: str
    said_us: int


def is_asked(kind: Kind, caller: str) -> bool:
    """Claim that a caller asked for a decision."""
    return kind not in NEVER_ASKED and caller != RUN_CALLER


def look_beside(number: int, product: str, kind: Kind, change_minor: int, decided_us: int) -> Look:
    """Give what guards see of a decision that nobody asked for: that it was made."""
    move = (change_minor > 0) - (change_minor < 0)
    return Look(number, product, kind, move, False, (), None, None, decided_us, is_asked=False)


def look_at(decided: Decided) -> Look:
    """Give what guards see of a decision."""
    decision = decided.decision
    change_minor = decision.new_limit_minor - decision.old_limit_minor
    if not is_asked(decision.kind, decision.caller):
        return look_beside(decision.number, decided.product, decision.kind, change_minor, decision.decided_us)
    return look(
        decision.number, decided.product, decision.kind, change_minor,
        decision.profile, decision.points, decision.decided_us, is_plain=not decision.activations,
    )  # fmt: skip


def look(
    number: int, product: str, kind: Kind, change_minor: int, profile: Profile, points: tuple[int, ...],
    decided_us: int, *, is_plain: bool,
) -> Look:  # fmt: skip
    """Give what guards see, from the columns that they need of a decision."""
    observed = profile.observed_us
    known = [observed[fact] for fact in BEHAVIOUR if observed[fact] != NEVER_OBSERVED]
    days = (decided_us - max(known)) // DAY_US if known else None
    move = (change_minor > 0) - (change_minor < 0)
    return Look(
        number, product, kind, move, is_plain, profile.values, sum(points) if points else None, days, decided_us
    )
