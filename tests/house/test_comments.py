"""What the contract's comments say of a request's fields is what the checks do."""

from typing import Any

import pytest
from google.protobuf import message_factory, timestamp_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import status_pb2
from holdline.v1 import decision_pb2, feedback_service_pb2

from service import bootstrap
from service.rpc.contract import FILES
from service.rpc.methods import METHODS, Shape
from service.storage.memory.store import MemoryStore
from tests.house.comments import Place, Stated, has_format, places, stated
from tests.in_process import Send, fields_of, sender

PLACES = list(places())
BOUNDED = [
    (place, said)
    for place in PLACES
    if (said := stated(place.comment)) is not None
    and not place.steps[-1].is_repeated
    and "profile_update.facts" not in place.path
]
"""Facts told by events are those of decisions but for what follows from events, and counts of items are no lengths."""
METHOD_OF = {
    f"holdline.v1.{method.path.rpartition('/')[2]}Request": method
    for method in METHODS
    if method.shape is not Shape.INTERNAL
}

METHOD_ANSWERS: dict[str, type[Message]] = {
    f"{file.DESCRIPTOR.package}.{method.input_type.name}": message_factory.GetMessageClass(method.output_type)
    for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
}  # fmt: skip


@pytest.fixture(scope="module")
def send() -> Send:
    return sender(MemoryStore(bootstrap.now_us))


def test_each_field_of_a_request_states_its_range_or_its_format() -> None:
    silent = [
        f"{one.request.name} {one.path}: {one.comment}"
        for one in PLACES
        if not (stated(one.comment) or has_format(one.comment))
    ]

    assert silent == []


def _ordinary() -> dict[str, dict[str, Any]]:
    """Give what a message needs besides, so that the checks come to the field in question."""
    moment = timestamp_pb2.Timestamp(seconds=bootstrap.now_us() // 1_000_000)
    return {
        "DecideRequest": {"kind": decision_pb2.DECISION_KIND_TEMPORARY_RAISE},
        "EvaluateRequest": {"kind": decision_pb2.DECISION_KIND_TEMPORARY_RAISE},
        "ResolveAppealRequest": {"resolution": feedback_service_pb2.RESOLUTION_OVERTURNED},
        "Event": {"event_id": "e", "account_id": "a", "occurred_at": moment},
        "Money": {"currency_code": "CNY"},
    }


ORDINARY = _ordinary()


def _request(place: Place, value: int | str) -> Message:
    request: Any = message_factory.GetMessageClass(place.request)()
    holder = request
    _fill(holder)
    for step in place.steps[:-1]:
        holder = getattr(holder, step.name).add() if step.is_repeated else getattr(holder, step.name)
        _fill(holder)
    last = place.steps[-1]
    if last.is_repeated:
        getattr(holder, last.name).append(value)
    else:
        setattr(holder, last.name, value)
    return request  # type: ignore[no-any-return]  # made from its descriptor.


def _fill(message: Any) -> None:
    kind = type(message)
    message.MergeFrom(kind(**ORDINARY.get(kind.DESCRIPTOR.name, {})))
    message.SetInParent()


def _refused(send: Send, place: Place, value: int | str) -> bool:
    answer = send(place.request.name.removesuffix("Request"), _request(place, value), "tests")
    if answer.code:
        return place.path in fields_of(status_pb2.Status.FromString(answer.body))
    if METHOD_OF[place.request.full_name].shape not in (Shape.BATCH, Shape.STREAM):
        return False
    response: Any = METHOD_ANSWERS[place.request.full_name].FromString(answer.body)
    return place.path.partition(".")[2] in fields_of(response.results[0].error)


def _samples(place: Place, said: Stated) -> tuple[list[int | str], list[int | str]]:
    """Give values that must pass and values that must not."""
    if not said.is_length:
        bits = 31 if place.steps[-1].cpp_type == FieldDescriptor.CPPTYPE_INT32 else 63
        beyond = [value for value in (said.highest + 1, said.lowest - 1) if -(1 << bits) <= value < 1 << bits and value]
        return [value for value in (said.lowest, said.highest) if value], list(beyond)
    letter = "a"
    good = [letter * said.highest, letter * max(said.lowest, 1)]
    bad = [letter * (said.highest + 1), *([f"{letter}\n"] if "printable" in place.comment or said.characters else [])]
    return list(good), list(bad)


@pytest.mark.parametrize(
    ("place", "said"), BOUNDED, ids=[f"{place.request.name}-{place.path}" for place, _ in BOUNDED]
)  # fmt: skip
def test_a_range_that_a_comment_states_is_the_one_that_is_checked(send: Send, place: Place, said: Stated) -> None:
    good, bad = _samples(place, said)

    assert [value for value in good if _refused(send, place, value)] == [], "within what is stated, and refused"
    assert [value for value in bad if not _refused(send, place, value)] == [], "beyond what is stated, and taken"
