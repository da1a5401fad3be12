"""The life of an activation: pending approval, active, lapsed or ended, and the changes between them.

Promises that an activation's state follows from its record and the store's time alone, so it lapses without anybody
being told; that nobody approves their own; and that nothing outlives the playbook's greatest time to live without a
person's act.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.errors import (
    ActivationExists,
    ActivationOver,
    ApprovalRefused,
    InvalidRequest,
    PlaybookConflict,
    PlaybookRetired,
    Violation,
)
from service.domain.facts import CHARACTERISTICS, FACTS
from service.domain.mode import Measure, Scope, overlap
from service.domain.money import BASIS_POINTS
from service.domain.playbook import Playbook, Value

SECOND_US: Final = 1_000_000
PENDING_SECONDS_MAX: Final = 3_600
"""An activation that nobody approves for so long lapses: what it was asked for is over."""


class ActivationState(IntEnum):
    """Where an activation stands; the numbers are the contract's."""

    PENDING_APPROVAL = 1
    ACTIVE = 2
    LAPSED = 3
    ENDED = 4


class Approval(NamedTuple):
    """One person's word for an activation: whose, when (microseconds since the epoch UTC), and what they said."""

    by: str
    given_us: int
    note: str


class Activation(NamedTuple):
    """One use of a playbook; times in microseconds since the epoch UTC by the store's clock, 0 for never."""

    number: int
    playbook: str
    version: int
    content_hash: str
    """Of the module that was meant: SHA-256, hexadecimal."""
    parameters: tuple[tuple[str, Value], ...]
    scope: Scope
    reason: str
    incident: str
    requested_by: str
    requested_us: int
    ttl_seconds: int
    approvals_needed: int
    approvals: tuple[Approval, ...]
    is_break_glass: bool
    """Activated without the approvals that it needed."""
    is_forced: bool
    """Activated in spite of a mix of builds."""
    from_us: int
    until_us: int
    """When it lapses; while it is pending, when it can no longer be approved."""
    ended_us: int
    ended_by: str

    @property
    def activation_id(self) -> str:
        """The activation's name: "A17"."""
        return f"A{self.number}"

    @property
    def title(self) -> str:
        """As decisions record it: "A17@cap_growth/v1"."""
        return f"A{self.number}@{self.playbook}/v{self.version}"


class ActivationChange(NamedTuple):
    """One recorded change, with its idempotency key; `sequence` is the store's own order, 0 before it is written."""

    sequence: int
    key: str
    fingerprint: bytes
    action: str
    number: int
    caller: str
    reason: str
    changed_us: int


def state_of(activation: Activation, now_us: int) -> ActivationState:
    """Give an activation's state at a time of the store's clock."""
    if activation.ended_us:
        return ActivationState.ENDED
    if now_us >= activation.until_us:
        return ActivationState.LAPSED
    return ActivationState.ACTIVE if activation.from_us else ActivationState.PENDING_APPROVAL


def is_in_force(activation: Activation, now_us: int) -> bool:
    """Claim that decisions obey an activation at a time."""
    return state_of(activation, now_us) is ActivationState.ACTIVE


def measure_of(activation: Activation, playbook: Playbook) -> Measure:
    """Give an activation as a mode holds it."""
    parameters = playbook.make_parameters(**dict(activation.parameters))
    return Measure(activation.title, activation.number, activation.scope, parameters, playbook)


def refuse_beside(
    playbook: Playbook, scope: Scope, others: Sequence[tuple[Activation, Playbook]], *, takes_new: bool = True
) -> None:
    """Refuse a playbook that can't be in force beside others that are active or wait for approval.

    Raises PlaybookRetired, ActivationExists or PlaybookConflict.
    """
    if takes_new and not playbook.is_released:
        raise PlaybookRetired(playbook.title, "it is a draft; release it first")
    if takes_new and playbook.retired:
        raise PlaybookRetired(playbook.title, playbook.retired)
    for other, theirs in others:
        if not overlap(scope, other.scope):
            continue
        if other.playbook == playbook.name:
            raise ActivationExists(activation_id=other.activation_id)
        why = playbook.conflicts.get(other.playbook) or theirs.conflicts.get(playbook.name)
        if why:
            raise PlaybookConflict(playbook.title, other.activation_id, why)


def ttl_violations(playbook: Playbook, ttl_seconds: int) -> tuple[Violation, ...]:
    """Give what is wrong with a time to live."""
    if 1 <= ttl_seconds <= playbook.ttl_seconds_max:
        return ()
    return (
        Violation(
            "ttl_seconds", f"{ttl_seconds} is out of range; {playbook.title} takes 1 to {playbook.ttl_seconds_max}"
        ),
    )


def scope_violations(scope: Scope, products: Collection[str]) -> Iterator[Violation]:
    """Give what is wrong with a scope, above all that it covers nobody; a policy decides for each of the `products`."""
    if scope.product and scope.product not in products:
        yield Violation("scope.product", f"covers nobody: no policy decides for it; choose from {', '.join(products)}")
    if not 1 <= scope.share_bp <= BASIS_POINTS:
        yield Violation("scope.share_bp", f"{scope.share_bp} covers nobody or too many; send 1 to {BASIS_POINTS}")
    for place, (fact, lowest, highest) in enumerate(scope.ranges):
        definition = CHARACTERISTICS[fact] if 0 <= fact < len(FACTS) else None
        if definition is not None and (lowest > highest or highest < definition.lowest or lowest > definition.highest):
            yield Violation(
                f"scope.ranges[{place}]",
                f"covers nobody: {definition.name} lies from {definition.lowest} to {definition.highest}",
            )


def requested(
    number: int,
    playbook: Playbook,
    parameters: Mapping[str, Value],
    scope: Scope,
    ttl_seconds: int,
    caller: str,
    reason: str,
    incident: str,
    now_us: int,
    *,
    is_break_glass: bool,
    is_forced: bool,
) -> Activation:
    """Give a new activation: in force where no approval is needed or glass is broken, else pending."""
    needed = playbook.approvals
    begins = not needed or is_break_glass
    return Activation(
        number, playbook.name, playbook.version, playbook.content_hash, tuple(sorted(parameters.items())), scope,
        reason, incident, caller, now_us, ttl_seconds, needed, (), is_break_glass and needed > 0, is_forced,
        now_us if begins else 0, now_us + (ttl_seconds if begins else PENDING_SECONDS_MAX) * SECOND_US, 0, "",
    )  # fmt: skip


def refuse_over(activation: Activation, now_us: int) -> None:
    """Refuse a change of an activation that has ended or lapsed; raises ActivationOver."""
    state = state_of(activation, now_us)
    if state in (ActivationState.LAPSED, ActivationState.ENDED):
        raise ActivationOver(activation_id=activation.activation_id, state=state.name.lower())


def refuse_approved(activation: Activation, now_us: int) -> None:
    """Refuse an approval of what is in force already; raises ApprovalRefused."""
    if is_in_force(activation, now_us):
        raise ApprovalRefused(
            "it is in force already; there is nothing to approve", activation_id=activation.activation_id
        )


def approved(activation: Activation, caller: str, note: str, now_us: int) -> Activation:
    """Give an activation with one more approval and its note; the last one that is needed puts it in force.

    Raises ActivationOver or ApprovalRefused.
    """
    refuse_over(activation, now_us)
    refuse_approved(activation, now_us)
    if caller == activation.requested_by:
        raise ApprovalRefused(
            "nobody approves their own activation; ask somebody else", activation_id=activation.activation_id
        )
    if any(caller == approval.by for approval in activation.approvals):
        raise ApprovalRefused(
            "you have approved it already; another person must", activation_id=activation.activation_id
        )
    approvals = (*activation.approvals, Approval(caller, now_us, note))
    if len(approvals) < activation.approvals_needed:
        return activation._replace(approvals=approvals)
    return activation._replace(
        approvals=approvals, from_us=now_us, until_us=now_us + activation.ttl_seconds * SECOND_US
    )


def extended(activation: Activation, playbook: Playbook, ttl_seconds: int, caller: str, now_us: int) -> Activation:
    """Give an activation that lasts so long from now on; never shorter than it did.

    Raises ActivationOver, ApprovalRefused (where the playbook needs approval, its activator can't extend it alone) or
    InvalidRequest.
    """
    state = state_of(activation, now_us)
    if state is not ActivationState.ACTIVE:
        raise ActivationOver(activation_id=activation.activation_id, state=state.name.lower())
    if activation.approvals_needed and caller == activation.requested_by:
        raise ApprovalRefused(
            "this playbook needs approval, so somebody else must extend it", activation_id=activation.activation_id
        )
    violations = ttl_violations(playbook, ttl_seconds)
    until_us = now_us + ttl_seconds * SECOND_US
    if not violations and until_us <= activation.until_us:
        left = (activation.until_us - now_us) // SECOND_US
        violations = (Violation("ttl_seconds", f"it lasts {left} seconds anyway; send more, or end it"),)
    if violations:
        raise InvalidRequest(violations)
    return activation._replace(until_us=until_us)


def ended(activation: Activation, caller: str, now_us: int) -> Activation:
    """Give an activation that is over; raises ActivationOver where it was already."""
    refuse_over(activation, now_us)
    return activation._replace(ended_us=now_us, ended_by=caller)
