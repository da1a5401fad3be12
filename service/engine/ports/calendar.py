"""Business days."""

from typing import Protocol


class Calendar(Protocol):
    """Gives business days (days since 1970-01-01) of times (microseconds since the epoch UTC), and their beginnings."""

    def business_day(self, now_us: int) -> int: ...
    def starts_us(self, business_day: int) -> int: ...
