"""Days as numbers since 1970-01-01, and the calendar that people read in them. Reads no clock.

Source: H. Hinnant, chrono-compatible low-level date algorithms, civil_from_days.
"""

from functools import lru_cache
from typing import Final

_ERA_DAYS: Final = 146_097
"""Days of 400 years, after which the calendar repeats."""
_ERA_BEGIN: Final = -719_468
"""0000-03-01 in days since 1970-01-01: with years that begin in March, a leap day is the last of its year."""


@lru_cache(maxsize=1 << 12)
def _calendar(day: int) -> tuple[int, int]:
    """Give the calendar month of a day (days since 1970-01-01), counted from the year 0, and the day in it.

    Source: H. Hinnant, chrono-compatible low-level date algorithms, civil_from_days.
    """
    era, of_era = divmod(day - _ERA_BEGIN, _ERA_DAYS)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    return (era * 400 + year) * 12 + month + 2, of_year - (153 * month + 2) // 5 + 1


def month_of(day: int) -> int:
    """Give the calendar month of a day (days since 1970-01-01), counted from the year 0."""
    return _calendar(day)[0]


def year_before(day: int) -> int:
    """Give the same date a year earlier, or the 28th of February for a 29th that the year lacks."""
    month, of_month = _calendar(day)
    return day - 365 if _calendar(day - 365) == (month - 12, of_month) else day - 366


def iso(business_day: int) -> str:
    """Write a day (days since 1970-01-01) as YYYY-MM-DD."""
    month, of_month = _calendar(business_day)
    return f"{month // 12:04}-{month % 12 + 1:02}-{of_month:02}"
