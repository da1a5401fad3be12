"""The life of a policy version: draft, active, retired, and the changes between them.

Promises that one version decides for a product and that every change has an author, a reason and a time. Shadow and
canary are stages of the contract that nothing moves into yet.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from service.domain.errors import InvalidRequest, PolicyNotFound, PolicyStateRefused, Violation
from service.domain.money import currency_fault, is_currency
from service.domain.policy import Policy


class PolicyState(IntEnum):
    """Where a version stands in its life; the numbers are the contract's."""

    DRAFT = 1
    SHADOW = 2
    CANARY = 3
    ACTIVE = 4
    RETIRED = 5


class PolicyRecord(NamedTuple):
    """One published version; times in microseconds since the epoch UTC, 0 for never."""

    version: str
    product: str
    currency: str
    content_hash: str
    document: str
    state: PolicyState
    published_by: str
    published_us: int
    activated_us: int


class PolicyChange(NamedTuple):
    """One recorded change of the policies, with its idempotency key."""

    key: str
    fingerprint: bytes
    action: str
    version: str
    product: str
    previous_version: str
    caller: str
    reason: str
    changed_us: int
    sequence: int = 0
    """Its place in the store's own order, 0 before it is written."""


def refuse_currency(policy: Policy) -> None:
    """Refuse to publish for a currency that nobody can owe; raises InvalidRequest.

    Versions that were published before this was checked go on deciding.
    """
    if not is_currency(policy.currency):
        raise InvalidRequest((Violation("document.currency", currency_fault(policy.currency)),))


def promoted(record: PolicyRecord, active: PolicyRecord | None, now_us: int) -> tuple[PolicyRecord, ...]:
    """Give the records after a promotion from draft to active, the promoted one first.

    Raises PolicyStateRefused unless the version is a draft.
    """
    if record.state is not PolicyState.DRAFT:
        raise PolicyStateRefused(
            "only a draft can be promoted; roll back to return to an earlier version",
            version=record.version,
            state=record.state.name.lower(),
        )
    return _switched(record, active, now_us)


def rolled_back(record: PolicyRecord, active: PolicyRecord | None, now_us: int) -> tuple[PolicyRecord, ...]:
    """Give the records after a roll-back to a version that has decided before, that one first.

    Raises PolicyStateRefused for a version that never decided.
    """
    if record.activated_us == 0:
        raise PolicyStateRefused(
            "this version has never decided; promote it instead",
            version=record.version,
            state=record.state.name.lower(),
        )
    return _switched(record, active, now_us)


def rollback_target(switches: Sequence[PolicyChange], product: str) -> str:
    """Give the version that decided before the present one and that no roll-back has left.

    `switches` are the product's promotions and roll-backs, oldest first. Raises PolicyNotFound where there is none.
    """
    line: list[str] = []
    for switch in switches:
        if switch.action == "rollback" and switch.version in line:
            del line[line.index(switch.version) + 1 :]
        else:
            line.append(switch.version)
    if not line:
        raise PolicyNotFound("no policy has decided for a product of this name", product=product)
    if len(line) < 2:
        raise PolicyNotFound(
            "no earlier version has decided for this product, but for those that a roll-back has left; "
            "name the version to return to", product=product,
        )  # fmt: skip
    return line[-2]


def _switched(record: PolicyRecord, active: PolicyRecord | None, now_us: int) -> tuple[PolicyRecord, ...]:
    taking_over = record._replace(state=PolicyState.ACTIVE, activated_us=now_us)
    if active is None or active.version == record.version:
        return (taking_over,)
    return taking_over, active._replace(state=PolicyState.RETIRED)
