"""Business dates of a load: those of the service's default time zone."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("Asia/Shanghai")


def days_ago(days: int) -> str:
    """Give the business date so many days before today's, as YYYY-MM-DD."""
    return (datetime.now(ZONE) - timedelta(days=days)).date().isoformat()
