"""Business days begin and end in the business time zone, whatever its clocks do."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bootstrap import ZoneCalendar

ZONES = ("Asia/Shanghai", "America/New_York", "Europe/Berlin", "Africa/Cairo", "Pacific/Apia", "America/Havana", "UTC")
SECOND_US = 1_000_000
DAYS = st.integers(date(2000, 1, 1).toordinal(), date(2060, 1, 1).toordinal()).map(
    lambda ordinal: ordinal - date(1970, 1, 1).toordinal()
)


def _us(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND_US  # type: ignore[arg-type,misc]  # a date's parts.


@given(st.sampled_from(ZONES), DAYS)
def test_a_day_begins_where_the_one_before_ends(zone: str, day: int) -> None:
    calendar = ZoneCalendar(zone)
    starts_us = calendar.starts_us(day)

    assert calendar.business_day(starts_us) >= day
    assert calendar.business_day(starts_us - 1) == day - 1 or zone == "Pacific/Apia"
    assert starts_us < calendar.starts_us(day + 1) or zone == "Pacific/Apia"


@pytest.mark.parametrize(
    ("zone", "moment_us", "day"),
    [
        ("Asia/Shanghai", _us(2026, 11, 24, 15, 59, 59), date(2026, 11, 24)),
        ("Asia/Shanghai", _us(2026, 11, 24, 16), date(2026, 11, 25)),
        ("America/New_York", _us(2026, 3, 9, 3, 59, 59), date(2026, 3, 8)),
        ("America/New_York", _us(2026, 3, 9, 4), date(2026, 3, 9)),
        ("America/New_York", _us(2026, 11, 2, 4, 59, 59), date(2026, 11, 1)),
        ("Europe/Berlin", _us(2024, 2, 29, 22, 59, 59), date(2024, 2, 29)),
        ("Europe/Berlin", _us(2024, 2, 29, 23), date(2024, 3, 1)),
    ],
)
def test_moments_around_midnight_daylight_saving_and_leap_days_fall_on_their_day(
    zone: str, moment_us: int, day: date
) -> None:
    assert ZoneCalendar(zone).business_day(moment_us) == (day - date(1970, 1, 1)).days
