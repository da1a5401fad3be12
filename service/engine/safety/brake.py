"""The brake on exposure growth: its own limits a minute and an hour, outside any policy.

Promises that no committed batch lets the limits granted in one currency grow beyond the brake, whatever policy,
scorecard or playbook says: the batch that would is dropped and decided anew in the brake's safe mode (RELIABILITY,
case 14: absurd model output). Takeovers of existing limits don't count. The sums live in the store, so a restart or
another engine brakes alike.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from service.domain.book import Book
from service.domain.decision import IMPORT
from service.domain.playbook import Playbook
from service.engine.ports.store import Store
from service.engine.safety import safe_mode

MINUTE_US: Final = 60_000_000
HOUR_MINUTES: Final = 60
CALLER: Final = "holdline:brake"


class BrakeLimit(NamedTuple):
    """Most that limits may grow in one currency, in minor units; 0 for no bound."""

    per_minute_minor: int
    per_hour_minor: int


class BrakeTripped(Exception):
    """A batch would let exposure grow beyond the brake."""

    def __init__(self, currency: str, span: str, limit_minor: int, grown_minor: int) -> None:
        super().__init__(f"{currency}: {grown_minor} granted in a {span}, the brake allows {limit_minor} (minor units)")
        self.currency = currency


class Brake:
    """Limits by currency, and the playbook that a trip puts in force."""

    def __init__(self, limits: Mapping[str, BrakeLimit], playbook: Playbook, ttl_seconds: int) -> None:
        self._limits = limits
        self._safe_mode = playbook
        self._ttl_seconds = ttl_seconds

    def allow(self, book: Book, store: Store, now_us: int) -> None:
        """Add a batch's growth to the sums; raises BrakeTripped where that is too much."""
        if not self._limits:
            return
        grown: dict[str, int] = {}
        for _, decision in book.decisions:
            currency = book.accounts[decision.account_id].currency
            rise = decision.new_limit_minor - decision.old_limit_minor
            # Where neither bound is set nothing is added up, so no sum outgrows its bound.
            if rise > 0 and decision.kind is not IMPORT and any(self._limits.get(currency, ())):
                grown[currency] = grown.get(currency, 0) + rise
        if not grown:
            return
        minute = now_us // MINUTE_US
        so_far = store.playbooks.growth(minute - HOUR_MINUTES + 1)
        for currency, rise in grown.items():
            limit = self._limits[currency]
            this_minute = rise + sum(raised for name, when, raised in so_far if (name, when) == (currency, minute))
            this_hour = rise + sum(raised for name, _, raised in so_far if name == currency)
            if limit.per_minute_minor and this_minute > limit.per_minute_minor:
                raise BrakeTripped(currency, "minute", limit.per_minute_minor, this_minute)
            if limit.per_hour_minor and this_hour > limit.per_hour_minor:
                raise BrakeTripped(currency, "hour", limit.per_hour_minor, this_hour)
            store.playbooks.add_growth(currency, minute, rise, minute - 2 * HOUR_MINUTES)

    def pull(self, trip: BrakeTripped, store: Store, now_us: int) -> None:
        """Put the safe mode in force and tell the outside, inside a transaction."""
        safe_mode.enter(store, self._safe_mode, self._ttl_seconds, CALLER, str(trip), "growth_brake_tripped", now_us)
