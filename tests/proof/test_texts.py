"""What people write: every text of every request, found in the contract itself, refuses what nobody can see."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.rpc import status_pb2

from service.domain.case import TEXT_MAX
from service.engine.ports.codec import Call
from service.printable import unprintable
from service.rpc import texts
from tests.builders import NOW_US
from tests.in_process import LATER, fields_of
from tests.proof.fuzzing import requests_of
from tests.proof.test_fuzz import Service

UNSEEN = (
    "\x00",
    "\x07",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\r",
    "\u200e",
    "\u202e",
    "\u2066",
    "\u2028",
    "\ufeff",
    "\U000e0041",
)
COMPARED_ONLY = {"WatchDailyRunRequest.resume_token", "WatchOperationRequest.resume_token"}
"""A token that is held against another and never kept or shown."""


class Place(NamedTuple):
    """One text of a request: its method, and the way to it."""

    method: int
    way: tuple[Any, ...]
    """Descriptors of fields, which the library's stubs know in part only."""

    @property
    def name(self) -> str:
        """Its name for people."""
        return f"{self.way[0].containing_type.name}.{'.'.join(one.name for one in self.way)}"


def _places(kind: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for field in kind.fields:
        if field.message_type is not None:
            if field.message_type.full_name != "google.protobuf.Timestamp":
                yield from _places(field.message_type, (*way, field))
        elif field.type == field.TYPE_STRING:
            yield (*way, field)


PLACES = [Place(method, way) for method, kind in requests_of().items() for way in _places(kind.DESCRIPTOR)]


def _written(place: Place, text: str) -> Any:
    """Write a request that says nothing but one text."""
    request: Any = requests_of()[place.method]()
    if "request_id" in request.DESCRIPTOR.fields_by_name:
        request.request_id = "texts"
    inner: Any = request
    for field in place.way[:-1]:
        if field.message_type.GetOptions().map_entry:
            entries = getattr(inner, field.name)
            name = text if place.way[-1].name == "key" else "known"
            entries[name].text = text if place.way[-1].name != "key" else "known"
            return request
        inner = getattr(inner, field.name)
        if field.is_repeated:
            inner = inner.add()
            if inner.DESCRIPTOR.name == "Event":
                # What an event tells is read once its envelope is right.
                inner.event_id, inner.account_id = "texts", "a-1"
                inner.occurred_at.seconds = NOW_US // 1_000_000
        else:
            inner.SetInParent()
    last = place.way[-1]
    if last.is_repeated:
        getattr(inner, last.name).append(text)
    else:
        setattr(inner, last.name, text)
    return request


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(Path(tmp_path_factory.mktemp("texts")) / "store.db")


def _faulty(service: Service, place: Place, text: str) -> str:
    """Send one text; gives the paths that were refused, with the answer of a batch's item among them."""
    call = Call(place.method, "tests", LATER, "", _written(place, text).SerializeToString())
    ((_, answer),) = service.answers([call])
    if not answer.code:
        # A batch answers each item with a status of its own.
        return answer.body.decode("utf-8", "replace")
    status = status_pb2.Status.FromString(answer.body)
    return " ".join(fields_of(status))


@pytest.mark.parametrize("place", PLACES, ids=[f"{one.method}-{one.name}" for one in PLACES])
def test_no_text_of_any_request_takes_what_nobody_can_see(service: Service, place: Place) -> None:
    if place.name in COMPARED_ONLY:
        pytest.skip("it is compared and forgotten")
    for unseen in UNSEEN:
        refused = _faulty(service, place, f"a{unseen}b")
        assert any(one.name in refused for one in place.way), (place.name, unseen, refused)


@pytest.mark.parametrize("place", PLACES, ids=[f"{one.method}-{one.name}" for one in PLACES])
def test_free_texts_take_what_people_write_and_only_those_of_several_lines_a_line_break(
    service: Service, place: Place
) -> None:
    rules = texts.FREE_TEXTS.get(place.way[0].containing_type.full_name, {})
    field = place.way[-1].name
    if len(place.way) > 1 or field not in rules:
        return
    assert field not in _faulty(service, place, "为什么这么少？ Ünïcödé 👩‍👧 “quoted” - it's 5 %").split()
    assert (field in _faulty(service, place, "one\nline,\tand\r\nanother").split()) is not rules[field]


def test_every_free_text_that_is_listed_is_one_of_the_contract() -> None:
    known = {(one.way[0].containing_type.full_name, one.way[0].name) for one in PLACES if len(one.way) == 1}

    assert {(request, field) for request, fields in texts.FREE_TEXTS.items() for field in fields} <= known


def test_a_long_text_is_searched_in_no_time() -> None:
    started = time.process_time()

    assert unprintable("額" * TEXT_MAX + "\x1b", has_lines=True) == "\\x1b"
    assert time.process_time() - started < 0.1
