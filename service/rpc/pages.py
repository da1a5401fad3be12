"""Pages of records: sizes and tokens as callers send them, and times as they read them.

Promises that a token stands for a record, so pages stay stable while new records arrive; that it is bound to its RPC
and filter; and that a page keeps within bytes: what has no room comes behind the token, as what is beyond the count
does.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from google.protobuf import timestamp_pb2
from google.protobuf.message import Message

from service.domain.errors import Violation
from service.rpc import fields
from service.rpc.dates import micros, time_violations

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


_encode: Final = msgspec.msgpack.Encoder().encode
SEAL_BYTES: Final = 8
WRONG_TOKEN: Final = Violation(
    "page_token", "send next_page_token of the page before, unchanged, with the filter that it was given for"
)


def page_of(rpc: str, filters: object, page_size: int, page_token: str, wrong: Sequence[Violation] = ()) -> Page:
    """Read the page that is asked for, of records with numbers; raises InvalidRequest, with the violations so far."""
    found = [*wrong, *violations(rpc, filters, page_size, page_token)]
    last = last_shown(page_token)
    if page_token and not found and not fields.is_record_id(last):
        found.append(WRONG_TOKEN)
    fields.refuse(found)
    return Page(page_size or PAGE_SIZE, int(last, 16) if page_token else 0)


def token(rpc: str, filters: object, last: str) -> str:
    """Give the token of the page after a record, for an RPC and what its filter is made of."""
    seal = blake2b(_encode((rpc, filters, last)), digest_size=SEAL_BYTES).digest()
    content = seal + last.encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def token_violations(rpc: str, filters: object, page_token: str) -> list[Violation]:
    """Give what is wrong with a token, above all that it was given for another filter."""
    last = last_shown(page_token)
    return [WRONG_TOKEN] if page_token and (not last or page_token != token(rpc, filters, last)) else []


def check_resume(rpc: str, subject: str, resume_token: str) -> None:
    """Refuse a watch's token that was given for another subject, or by another RPC; raises InvalidRequest."""
    if token_violations(rpc, subject, resume_token):
        wrong = "send resume_token of the last answer, unchanged, to watch what it was given for"
        fields.refuse([Violation("resume_token", wrong)])


def last_shown(page_token: str) -> str:
    """Give the record that a token stands for; "" where there is no token, and for what is none."""
    try:
        content = base64.b64decode(page_token + "=" * (-len(page_token) % 4), altchars=b"-_", validate=True)
        return content[SEAL_BYTES:].decode()
    except (binascii.Error, ValueError):
        return ""


SCANNED_MAX: Final = 5_000
"""So many records a page of a filtered list looks at, at most; the rest is behind its token."""
CHOICES_MAX: Final = 8


def violations(rpc: str, filters: object, page_size: int, page_token: str) -> list[Violation]:
    """Give what is wrong with the page that is asked for."""
    return [*size_violations(page_size), *token_violations(rpc, filters, page_token)]


def choice_violations(field: str, chosen: Sequence[int], known: Collection[int]) -> list[Violation]:
    """Give what is wrong with the values of an enum that a filter lets through."""
    if len(chosen) > CHOICES_MAX:
        return [Violation(field, f"{len(chosen)} values; send at most {CHOICES_MAX}, none for all")]
    return unknown_choices(field, chosen, known)


def unknown_choices(field: str, numbers: Sequence[int], known: Collection[int]) -> list[Violation]:
    """Give the values of a filter that are none, each by its place."""
    return [
        Violation(f"{field}[{place}]", f"{number} is no value of this filter; leave the list empty for all")
        for place, number in enumerate(numbers) if number not in known
    ]  # fmt: skip


class Span(NamedTuple):
    """A stretch of time, in microseconds since the epoch UTC: from the first on, before the second; 0 for no end."""

    from_us: int
    until_us: int

    def holds(self, time_us: int) -> bool:
        """Claim that a time lies within."""
        return self.from_us <= time_us and (not self.until_us or time_us < self.until_us)


EVER: Final = Span(0, 0)


def span_of(request: Message, first: str, last: str) -> tuple[Span, list[Violation]]:
    """Read a filter's two optional times, and give what is wrong with them."""
    found, wrong = [], []
    for name in (first, last):
        time = getattr(request, name)
        out_of_range = time_violations(name, time) if request.HasField(name) else []
        wrong += out_of_range
        # What is out of range may be beyond what a token's seal can be made of.
        found.append(micros(time) if request.HasField(name) and not out_of_range else 0)
    if not wrong and found[1] and found[1] <= found[0]:
        wrong.append(Violation(last, f"send a time after {first}"))
    return Span(*found), wrong


class LogFilter(NamedTuple):
    """Which records of an account's log a list lets through; empty kinds and outcomes let all through."""

    span: Span
    kinds: list[int]
    outcomes: list[int]

    @property
    def is_open(self) -> bool:
        """Claim that it lets everything through."""
        return self == (EVER, [], [])

    def lets_through(self, time_us: int, kind: int, outcome: int) -> bool:
        """Claim that a record of a time, kind and outcome is wanted."""
        return (
            self.span.holds(time_us)
            and (not self.kinds or kind in self.kinds)
            and (not self.outcomes or outcome in self.outcomes)
        )


def log_filter_of(
    request: Any, first: str, last: str, kinds: Collection[int], outcomes: Collection[int]
) -> tuple[LogFilter, list[Violation]]:
    """Read which records are asked for, by the fields of two times, kinds and outcomes, and what is wrong with that."""
    span, wrong = span_of(request, first, last)
    wrong += choice_violations("kinds", request.kinds, kinds)
    wrong += choice_violations("outcomes", request.outcomes, outcomes)
    return LogFilter(span, sorted(set(request.kinds)), sorted(set(request.outcomes))), wrong


class Filtered(NamedTuple, Generic[Record]):
    """What a filter lets through of the records that were looked at, and the one after which the next page begins."""

    chosen: list[Record]
    last: Record | None
    """None where there is nothing more to look at."""

    def last_of(self, shown: int) -> Record | None:
        """Give the record after which the next page begins, where only so many of the chosen had room on this one."""
        return self.last if shown == len(self.chosen) else self.chosen[shown - 1]


def filtered(found: Sequence[Record], wanted: Callable[[Record], bool], size: int, *, is_all: bool) -> Filtered[Record]:
    """Take the first `size` of some records that are wanted; `is_all`: there are no others after them."""
    taken: list[Record] = []
    for place, record in enumerate(found):
        if wanted(record):
            taken.append(record)
            if len(taken) == size:
                is_over = is_all and place == len(found) - 1
                return Filtered(taken, None if is_over else record)
    return Filtered(taken, None if is_all or not found else found[-1])


Kind = TypeVar("Kind")


def chosen(
    field: str, numbers: Sequence[int], known: Mapping[int, Kind], violations: list[Violation]
) -> tuple[Kind, ...]:
    """Give what a filter of enum values lets pass, all where it is empty; what is none is added to the violations."""
    violations += unknown_choices(field, numbers, known)
    return tuple(kind for number, kind in known.items() if number in numbers) or tuple(known.values())


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


def has_more(shown: Sequence[object], found: Sequence[object], size: int) -> bool:
    """Claim that records may follow a page: some found have no room on it, or as many were found as were asked for."""
    return len(shown) < len(found) or len(found) == size


def timestamp(micros: int) -> timestamp_pb2.Timestamp | None:
    """Give a Timestamp from microseconds since the epoch UTC, none for 0."""
    if not micros:
        return None
    seconds, rest = divmod(micros, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1_000)
