"""Pages of records: sizes and tokens as callers send them, and times as they read them.

Promises that a token is a record's id, so pages stay stable while new records arrive.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from google.protobuf import timestamp_pb2

from service.domain.errors import Violation
from service.rpc import validation

PAGE_SIZE_MAX: Final = 1_000
PAGE_SIZE: Final = 100


class Page(NamedTuple):
    """How many records, from before which number (0: the newest)."""

    size: int
    before: int


def asked(page_size: int, page_token: str, violations: Sequence[Violation] = ()) -> Page:
    """Read the page that is asked for; raises InvalidRequest, with the violations found so far."""
    found = [*violations, *size_violations(page_size)]
    if page_token and not validation.is_record_id(page_token):
        found.append(Violation("page_token", "send next_page_token of the page before, unchanged"))
    validation.refuse(found)
    return Page(page_size or PAGE_SIZE, int(page_token, 16) if page_token else 0)


def size_violations(page_size: int) -> list[Violation]:
    """Give what is wrong with a page size."""
    if 0 <= page_size <= PAGE_SIZE_MAX:
        return []
    return [Violation("page_size", f"{page_size} is out of range; send 0 to {PAGE_SIZE_MAX}")]


def timestamp(micros: int) -> timestamp_pb2.Timestamp | None:
    """Give a Timestamp from microseconds since the epoch UTC, none for 0."""
    if not micros:
        return None
    seconds, rest = divmod(micros, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1_000)
