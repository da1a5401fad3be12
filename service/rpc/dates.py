"""Business dates as callers write them: YYYY-MM-DD, and days since 1970-01-01."""

import re
from datetime import date
from typing import Final

from service.domain.errors import InvalidRequest, Violation

_EPOCH: Final = date(1970, 1, 1)
is_date: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def business_day(text: str, field: str = "business_date") -> int:
    """Give a date as days since 1970-01-01; raises InvalidRequest."""
    try:
        # `fromisoformat` takes other forms, too.
        found = date.fromisoformat(text if is_date(text) else "")
    except ValueError as error:
        raise InvalidRequest((Violation(field, "send a date as YYYY-MM-DD"),)) from error
    return (found - _EPOCH).days
