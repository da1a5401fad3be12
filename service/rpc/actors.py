"""Who acted and who approved, as messages."""

from collections.abc import Iterable

from holdline.v1 import actor_pb2

from service.domain.activation import Approval
from service.rpc.pages import timestamp


def actor(caller: str) -> actor_pb2.Actor | None:
    """Give who did something, none where nobody did. Identities name callers only, so the person is empty."""
    return actor_pb2.Actor(caller=caller) if caller else None


def approvals(given: Iterable[Approval]) -> list[actor_pb2.Approval]:
    """Give approvals, in the order in which they were given."""
    return [actor_pb2.Approval(actor=actor(one.by), at=timestamp(one.given_us), note=one.note) for one in given]
