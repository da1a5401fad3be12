"""Pages of records: sizes and tokens as callers send them, and times as they read them.

Promises that a token is a record's id, so pages stay stable while new records arrive, and that a page keeps within
bytes: what has no room comes behind the token, as what is beyond the count does.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from google.protobuf import timestamp_pb2

from service.domain.errors import Violation
from service.rpc import validation

PAGE_SIZE_MAX: Final = 1_000
PAGE_SIZE: Final = 100
PAGE_BYTES_MAX: Final = 1 << 20
"""A page ends before the record that would make it larger, in bytes; it has one record at least."""
ANSWER_BYTES_MAX: Final = 7 << 19
"""Largest answer of any kind, in bytes: 3.5 MiB, where clients take 4 MiB by default."""

Record = TypeVar("Record")


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


def fitting(written: Iterable[Record], size_of: Callable[[Record], int]) -> list[Record]:
    """Take the first of some written records that a page has room for, the very first in any case."""
    shown: list[Record] = []
    room = PAGE_BYTES_MAX
    for record in written:
        # A tag and a length stand before each.
        room -= size_of(record) + 6
        if room < 0 and shown:
            break
        shown.append(record)
    return shown


def timestamp(micros: int) -> timestamp_pb2.Timestamp | None:
    """Give a Timestamp from microseconds since the epoch UTC, none for 0."""
    if not micros:
        return None
    seconds, rest = divmod(micros, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1_000)
