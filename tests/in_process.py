"""Calls in bytes without a network: an engine over a store, and what its answers say."""

from collections.abc import Callable
from typing import Final

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from service import bootstrap, telemetry
from service.engine.ports import Answer, Call, Store
from service.engine.process import Engine
from service.rpc.methods import INDEX_OF
from tests.builders import read_policy, settings

LATER: Final = 1 << 62
Send = Callable[[str, Message, str], Answer]


def sender(store: Store) -> Send:
    """Give what sends a request to a method, by its name, as a caller."""
    # Documents are compiled once a test run.
    parts = bootstrap.make_parts(store, settings(), read_policy)
    engine = Engine(
        store, parts.control, parts.calendar, parts.codec, telemetry.engine_meters(None), 1_000, parts.brake,
        parts.tally, parts.dead_man, parts.clock,
    )  # fmt: skip
    index = {path.rpartition("/")[2]: number for path, number in INDEX_OF.items()}

    def send(name: str, request: Message, caller: str) -> Answer:
        return dict(engine.answers([Call(index[name], caller, LATER, "", request.SerializeToString())], 0))[0]

    return send


def reason_of(status: status_pb2.Status) -> str:
    """Give the reason of a status; empty where it has none."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
    return str(info.reason)


def fields_of(status: status_pb2.Status) -> list[str]:
    """Give the paths of a status's violations."""
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Is(bad.DESCRIPTOR):
            detail.Unpack(bad)
    return [violation.field for violation in bad.field_violations]
