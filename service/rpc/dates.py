"""Times and business dates as callers write them: Timestamps, and YYYY-MM-DD as days since 1970-01-01.

Promises one range for both, from 2000-01-01 to 2199-12-31, which the protos state at each field: within it, a time zone
or a wait of years leads to no date that can't be written.
"""

import re
from datetime import date
from typing import Final

from google.protobuf import timestamp_pb2

from service.domain.errors import InvalidRequest, Violation

FIRST_SECOND: Final = 946_684_800
"""2000-01-01T00:00:00Z, in seconds since the epoch."""
LAST_SECOND: Final = 7_258_118_399
"""2199-12-31T23:59:59Z."""
NANOS_MAX: Final = 999_999_999

_EPOCH: Final = date(1970, 1, 1)
_FIRST: Final = date(2000, 1, 1)
_LAST: Final = date(2199, 12, 31)
is_date: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def time_violations(field: str, time: timestamp_pb2.Timestamp) -> list[Violation]:
    """Give what is wrong with a time; one that is absent is out of range."""
    found = []
    if not FIRST_SECOND <= time.seconds <= LAST_SECOND:
        found.append(Violation(field, f"send a time from {_FIRST} to {_LAST} (UTC)"))
    if not 0 <= time.nanos <= NANOS_MAX:
        found.append(Violation(field, f"{time.nanos} nanoseconds; send 0 to {NANOS_MAX}"))
    return found


def micros(time: timestamp_pb2.Timestamp) -> int:
    """Give a Timestamp in microseconds since the epoch UTC."""
    return time.seconds * 1_000_000 + time.nanos // 1_000


def business_day(text: str, field: str = "business_date") -> int:
    """Give a date as days since 1970-01-01; raises InvalidRequest."""
    try:
        # `fromisoformat` takes other forms, too.
        found = date.fromisoformat(text if is_date(text) else "")
    except ValueError as error:
        why = f"{text} is no day of the calendar; " if is_date(text) else ""
        raise InvalidRequest((Violation(field, f"{why}send a date as YYYY-MM-DD"),)) from error
    if not _FIRST <= found <= _LAST:
        raise InvalidRequest((Violation(field, f"{text} is out of range; send {_FIRST} to {_LAST}"),))
    return (found - _EPOCH).days
