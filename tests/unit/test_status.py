"""Errors as statuses: bounded whatever is wrong, so that what can't succeed is never answered as overload."""

import base64
import urllib.parse

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import (
    AccountNotFound,
    HoldlineError,
    InvalidRequest,
    Overloaded,
    PolicyNotFound,
    RoleRequired,
    Violation,
)
from service.rpc.status import ITEM_STATUS_BYTES_MAX, STATUS_BYTES_MAX, clipped, status_of

SOFT_METADATA_BYTES = 8_192
"""From here on a gRPC client may refuse trailers, as RESOURCE_EXHAUSTED; from twice as much on it does."""

TEXTS = st.text(max_size=80) | st.sampled_from(["汉" * 1_000, "x" * 5_000, "\x00" * 700, "😀" * 400, "é" * 900])
VIOLATIONS = st.lists(st.builds(Violation, TEXTS, TEXTS), min_size=1, max_size=60)


def trailer_bytes(error: HoldlineError) -> int:
    """Give what a refusal's trailers take, by HTTP/2's way of counting."""
    status = status_of(error)
    fields = {
        "grpc-status": str(status.code),
        "grpc-message": urllib.parse.quote(status.message, safe=" !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"),
        "grpc-status-details-bin": base64.b64encode(status.SerializeToString()).decode(),
    }
    return sum(len(name) + len(value) + 32 for name, value in fields.items())


def listed(error: HoldlineError, bytes_max: int = STATUS_BYTES_MAX) -> list[Violation]:
    bad = error_details_pb2.BadRequest()
    for detail in status_of(error, bytes_max).details:
        detail.Unpack(bad)
    return [Violation(one.field, one.description) for one in bad.field_violations]


@given(VIOLATIONS, st.integers(1, 40))
def test_whatever_is_wrong_the_trailers_stay_below_what_clients_refuse(found: list[Violation], times: int) -> None:
    error = InvalidRequest(tuple(found * times))

    assert status_of(error).code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert trailer_bytes(error) < SOFT_METADATA_BYTES
    assert status_of(error).ByteSize() <= STATUS_BYTES_MAX + 64
    assert status_of(error, ITEM_STATUS_BYTES_MAX).ByteSize() <= ITEM_STATUS_BYTES_MAX + 256
    assert len(listed(error)) >= 1


@given(
    st.sampled_from([PolicyNotFound, AccountNotFound, RoleRequired]),
    TEXTS,
    st.dictionaries(st.sampled_from("abcd"), TEXTS),
)
def test_other_refusals_are_bounded_too(kind: type[HoldlineError], text: str, metadata: dict[str, str]) -> None:
    assert trailer_bytes(kind(text, **metadata)) < SOFT_METADATA_BYTES


def test_the_first_violations_are_listed_and_all_are_counted() -> None:
    found = tuple(
        Violation(f"requests[{place}].request_id", "repeats requests[0]; ids must differ") for place in range(999)
    )
    error = InvalidRequest(found)

    first = listed(error)

    assert first == list(found[: len(first)])
    assert 20 < len(first) < len(found)
    assert error.metadata["violations"] == "999"
    assert error.message.endswith("; and 991 more")


def test_few_violations_are_listed_in_full() -> None:
    found = tuple(Violation(f"field_{place}", "send something else") for place in range(12))

    assert listed(InvalidRequest(found)) == list(found)


def test_a_shed_call_keeps_its_pause() -> None:
    retry = error_details_pb2.RetryInfo()
    for detail in status_of(Overloaded("batch", 250)).details:
        detail.Unpack(retry)

    assert retry.retry_delay.ToMilliseconds() == 250


@pytest.mark.parametrize("text", ["", "plain", "汉" * 10, "a汉" * 300, "😀" * 100])
def test_a_clipped_text_ends_between_two_characters(text: str) -> None:
    short = clipped(text, 64)

    assert len(short.encode()) <= 64
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
