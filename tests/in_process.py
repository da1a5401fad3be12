"""Calls in bytes without a network: an engine and a sentry over a store, and what its answers say."""

from collections.abc import Callable
from typing import Final

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from service import bootstrap, telemetry
from service.drill.stage import DirectLine
from service.engine.ports.codec import Answer, Call
from service.engine.process import Engine
from service.rpc.methods import INDEX_OF, METHODS, Shape
from service.rpc.sentry import SentryCodec
from service.sentry.notices import NoticeStore
from tests.builders import read_policy, settings
from tests.stated import is_named

LATER: Final = 1 << 62
Send = Callable[[str, Message, str], Answer]


def sender(store: NoticeStore) -> Send:
    """Give what sends a request to a method, by its name, as a caller."""
    # Documents are compiled once a test run.
    parts = bootstrap.make_parts(store, settings(), read_policy)
    engine = Engine(
        store, parts.control, parts.calendar, parts.codec, telemetry.engine_meters(None), 1_000, parts.brake,
        parts.tally, parts.dead_man, parts.clock,
    )  # fmt: skip
    line, meters = DirectLine(parts.codec), telemetry.sentry_meters(None)
    sentry, _ = bootstrap.make_sentry(store, line, settings(), bootstrap.now_us, meters)
    beside = SentryCodec(store, bootstrap.make_control(), sentry)
    index = {path.rpartition("/")[2]: number for path, number in INDEX_OF.items()}

    def send(name: str, request: Message, caller: str) -> Answer:
        call = Call(index[name], caller, LATER, "", request.SerializeToString())
        is_sentrys = METHODS[call.method].shape is Shape.SENTRY
        answer = beside.query(call) if is_sentrys else dict(engine.answers([call], 0))[0]
        assert not answer.code or is_named(call.method, answer.body), (name, answer)
        return answer

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
