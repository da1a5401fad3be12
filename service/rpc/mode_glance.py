"""A gateway's glance at the mode: whether it changed, and what to turn away before the queue.

Frames of one build, never stored; and the bytes of a watch's next request, so that gateways need not know the contract.
"""

from typing import Final, NamedTuple

import msgspec
from holdline.v1 import playbook_service_pb2 as pb

from service.domain.decision import Criticality
from service.domain.errors import Overloaded
from service.domain.mode import Mode, turned_away
from service.domain.playbook import Request


class Shed(NamedTuple):
    """Calls of a criticality are turned away: how long they are told to wait, and by which activation."""

    criticality: int
    retry_after_ms: int
    activation: str


class Glance(NamedTuple):
    """The mode's token, and what is turned away before the queue."""

    token: str
    sheds: tuple[Shed, ...]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Glance).decode


def glance_request(token: str) -> bytes:
    """Write a glance's request: the token seen last."""
    return token.encode()


def glance_answer(body: bytes, token: str, mode: Mode) -> bytes:
    """Write what a gateway sees; nothing where it has seen this already."""
    if body.decode() == token:
        return b""
    return _encode(Glance(token, tuple(_sheds(mode))))


def glance(body: bytes) -> Glance:
    """Read what a gateway sees."""
    return _decode(body)


def _sheds(mode: Mode) -> list[Shed]:
    found = []
    for criticality in Criticality:
        refusal = turned_away(mode, Request(criticality))
        # Other refusals wait for the engine: a retry of a recorded decision must still be answered.
        if isinstance(refusal, Overloaded):
            name = refusal.metadata["activation_id"]
            found.append(Shed(int(criticality), refusal.retry_after_ms, name))
    return found


def next_watch(answer: bytes) -> bytes:
    """Give the request that resumes a watch after an answer."""
    token = pb.WatchModeResponse.FromString(answer).resume_token
    return pb.WatchModeRequest(resume_token=token).SerializeToString()
