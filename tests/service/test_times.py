"""Times and dates over the wire: every one of every request has one range, and is refused outside it by name."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory, timestamp_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from holdline.v1 import account_service_pb2, event_service_pb2
from holdline.v1 import event_pb2 as ev

from service.rpc.methods import METHODS, Shape
from tests.service.wire import Stubs, assign, fresh

NOW_SECONDS = int(time.time())
FIRST, LAST = 946_684_800, 7_258_118_399
"""2000-01-01T00:00:00Z and 2199-12-31T23:59:59Z."""
BAD_TIMES = (
    (253_402_300_799, 0), (253_402_300_799, 999_999_999), (LAST + 1, 0), (FIRST - 1, 999_999_999), (0, 0), (-1, 0),
    (-62_135_596_800, 0), ((1 << 63) - 1, 0), (-(1 << 63), 0), (NOW_SECONDS, -1), (NOW_SECONDS, 1_000_000_000),
    (NOW_SECONDS, (1 << 31) - 1), (NOW_SECONDS, -(1 << 31)),
)  # fmt: skip
"""Seconds and nanoseconds."""
BAD_DATES = ("0001-01-01", "1999-12-31", "2200-01-01", "9999-12-31", "2026-02-30", "2026-1-1", "tomorrow")
TIMESTAMP = "google.protobuf.Timestamp"


class Place(NamedTuple):
    """A field of a request: the method, and the fields that lead to it."""

    path: str
    fields: tuple[FieldDescriptor, ...]

    @property
    def item_path(self) -> str:
        """The field as an item's own error names it: a batch's list stands before that."""
        names: list[str] = []
        for field in self.fields:
            names = [] if field.is_repeated else [*names, field.name]
        return ".".join(names)


def _method(path: str) -> MethodDescriptor:
    return descriptor_pool.Default().FindMethodByName(path.strip("/").replace("/", "."))


def _fields(message: Descriptor, before: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    for field in message.fields:
        yield (*before, field)
        if field.message_type is not None and all(field.message_type != one.message_type for one in before):
            yield from _fields(field.message_type, (*before, field))


def _places() -> list[Place]:
    paths = [method.path for method in METHODS if method.shape is not Shape.INTERNAL]
    return [Place(path, fields) for path in paths for fields in _fields(_method(path).input_type)]


def _is_time(place: Place) -> bool:
    last = place.fields[-1]
    return last.message_type is not None and last.message_type.full_name == TIMESTAMP


def _is_date(place: Place) -> bool:
    return place.fields[-1].name.endswith("_date")


TIMES = [place for place in _places() if _is_time(place)]
DATES = [place for place in _places() if _is_date(place)]


def _filled(place: Place, value: object) -> Any:
    """Make a request with one field set, and what stands beside it on the way good enough."""
    message: Any = message_factory.GetMessageClass(_method(place.path).input_type)()
    root = message
    for field in place.fields[:-1]:
        message = getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name)
        message.SetInParent()
        for beside in message.DESCRIPTOR.fields:
            if beside.name in ("account_id", "event_id", "request_id"):
                setattr(message, beside.name, "x")
            elif beside.message_type is not None and beside.message_type.full_name == TIMESTAMP:
                getattr(message, beside.name).FromSeconds(NOW_SECONDS)
    if isinstance(value, timestamp_pb2.Timestamp):
        getattr(message, place.fields[-1].name).CopyFrom(value)
    else:
        setattr(message, place.fields[-1].name, value)
    return root


def _status(channel: grpc.Channel, path: str, request: Any) -> status_pb2.Status:
    """Send one request, and give the status of the call, or of the one item in it."""
    method = _method(path)
    reads = message_factory.GetMessageClass(method.output_type).FromString
    arity = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    call = getattr(channel, arity)(
        path, request_serializer=type(request).SerializeToString, response_deserializer=reads
    )
    try:
        answer: Any = call(iter([request]) if method.client_streaming else request, timeout=10)
        answer = next(answer) if method.server_streaming else answer
    except grpc.RpcError as error:
        return rpc_status.from_call(error)
    (result,) = answer.results
    return result.error


def _refused_fields(status: status_pb2.Status) -> list[str]:
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details), status
    return [violation.field for violation in bad.field_violations]


def test_the_contract_has_times_and_dates_to_try() -> None:
    assert {place.path.rpartition("/")[2] for place in TIMES} >= {"Decide", "BatchDecide", "Evaluate", "RecordEvents"}
    assert {place.path.rpartition("/")[2] for place in DATES} >= {"RecordEvents", "GetDailyRun", "ListDiscrepancies"}


@pytest.mark.parametrize("place", TIMES, ids=lambda place: f"{place.path.rpartition('/')[2]}-{place.item_path}")
def test_every_time_of_every_request_is_refused_by_name_outside_its_range(stubs: Stubs, place: Place) -> None:
    for seconds, nanos in BAD_TIMES:
        request = _filled(place, timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos))
        status = _status(stubs.channel, place.path, request)

        assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0], (seconds, nanos, status)
        assert place.item_path in _refused_fields(status), (seconds, nanos)


@pytest.mark.parametrize("place", TIMES, ids=lambda place: f"{place.path.rpartition('/')[2]}-{place.item_path}")
def test_the_ends_of_the_range_are_within_it(stubs: Stubs, place: Place) -> None:
    for seconds, nanos in ((FIRST, 0), (LAST, 999_999_999)):
        request = _filled(place, timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos))
        status = _status(stubs.channel, place.path, request)

        assert status.code != grpc.StatusCode.INTERNAL.value[0]
        assert "2199-12-31" not in status.message, status


@pytest.mark.parametrize("place", DATES, ids=lambda place: f"{place.path.rpartition('/')[2]}-{place.item_path}")
def test_every_date_of_every_request_is_refused_by_name_outside_its_range(stubs: Stubs, place: Place) -> None:
    for text in BAD_DATES:
        status = _status(stubs.channel, place.path, _filled(place, text))

        assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0], (text, status)
        assert place.item_path in _refused_fields(status), text


def test_events_of_impossible_times_leave_their_neighbours_alone(stubs: Stubs) -> None:
    account_id = stubs.limits.Decide(assign(), timeout=5).account.account_id
    times = [timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos) for seconds, nanos in BAD_TIMES]
    good = timestamp_pb2.Timestamp(seconds=NOW_SECONDS)
    mixed = [one for bad in times for one in (bad, good)]

    results = stubs.events.RecordEvents(
        event_service_pb2.RecordEventsRequest(
            events=[
                ev.Event(account_id=account_id, event_id=fresh("e"), occurred_at=at, enquiry=ev.Enquiry())
                for at in mixed
            ]
        ),
        timeout=5,
    ).results  # fmt: skip

    invalid = grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert [result.error.code for result in results] == [invalid, 0] * len(BAD_TIMES)
    account = stubs.accounts.GetAccount(account_service_pb2.GetAccountRequest(account_id=account_id), timeout=5).account
    assert account.facts.enquiries_30d == len(BAD_TIMES)
