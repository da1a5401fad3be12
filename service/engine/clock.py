"""The store's clock: confirmed time, read from the machine's clocks, kept in the store, told to people.

Promises that the store's time never follows a step of the machine's clock that nothing confirms; that a step is told
within a second, and by no more than one alert in `TELL_US`; and that a person's confirmation is durable, with its
audit row and its alert, before it counts.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import structlog

from service.domain.book import Book
from service.domain.clock import (
    TOLERANCE_US,
    ClockChange,
    ConfirmedTime,
    Reading,
    advanced,
    confirmed,
    resumed,
    time_before,
)
from service.domain.errors import ClockNotConfirmed, Unavailable
from service.engine.control import Control
from service.engine.execute import transaction
from service.engine.once import once
from service.engine.ports.clock import ClockStore
from service.engine.ports.store import Store
from service.engine.safety import alerts
from service.telemetry import EngineMeters

SECOND_US: Final = 1_000_000
TELL_US: Final = 10 * SECOND_US
KEEP_US: Final = 60 * SECOND_US
"""What is kept is so old at most; on the same start of the machine the time since then is known exactly."""
LONG_OUTAGE_US: Final = 3_600 * SECOND_US
"""An outage that on-call must hear of: what was in force, and holds, may have lapsed in it."""

TO_DO: Final = "set the machine's clock right; where it is right: holdline clock confirm"
_LEVELS: Final = {alerts.INFO: logging.INFO, alerts.WARNING: logging.WARNING, alerts.CRITICAL: logging.ERROR}

log = structlog.get_logger("holdline.clock")

Read = Callable[[], Reading]


class StoreClock:
    """The clock of the engine that writes a store."""

    def __init__(self, store: Store, read: Read) -> None:
        """Go on from what the store has kept; raises StoreUnavailable."""
        self._read = read
        self.time = resumed(store.clock.kept(), read(), Book.microsecond(store.control().last_number))
        self.furthest_us = self.time.ahead_us
        """How far the machine's clock was off at most since that was last told."""

    def now_us(self) -> int:
        """Give the store's time in microseconds since the epoch UTC."""
        now = self.time = advanced(self.time, self._read())
        if abs(now.ahead_us) > abs(self.furthest_us):
            self.furthest_us = now.ahead_us
        return now.time_us

    def time_before(self, age_us: int) -> int:
        """Give the time after which no more than so much time has truly passed."""
        self.now_us()
        return time_before(self.time, age_us)


class FollowedClock:
    """The engine's clock as another process of the same machine follows it."""

    def __init__(self, store: ClockStore, read: Read) -> None:
        """Look at what the engine has kept; raises StoreUnavailable."""
        self._store = store
        self._read = read
        self._kept = store.kept()

    def look(self) -> bool:
        """Look again at what the engine has kept, as a chore; there is never more to do."""
        try:
            self._kept = self._store.kept()
        except Unavailable:
            log.warning("clock not looked at: the store gives no answer")
        return False

    def now_us(self) -> int:
        """Give the store's time in microseconds since the epoch UTC; may be asked by several threads."""
        return resumed(self._kept, self._read(), 0).time_us


class ClockOrder(NamedTuple):
    """A person's word that the machine's clock, so far ahead as he saw it (microseconds), is right."""

    key: str
    fingerprint: bytes
    caller: str
    reason: str
    ahead_us: int


class ClockDesk:
    """What becomes of the store's clock: kept, told and confirmed."""

    def __init__(self, store: Store, control: Control, clock: StoreClock) -> None:
        self._store = store
        self._control = control
        self._clock = clock
        self._told = store.clock.kept() or clock.time._replace(ahead_us=0)
        """As people know it; where nothing was kept, they know of no step."""
        self._told_us = 0
        self._kept_us = 0

    def time(self) -> ConfirmedTime:
        """Give confirmed time and how the machine's clock stands to it, as of now."""
        self._clock.now_us()
        return self._clock.time

    def time_before(self, age_us: int) -> int:
        """Give the time after which no more than so much time has truly passed."""
        return self._clock.time_before(age_us)

    def mind(self, meters: EngineMeters) -> bool:
        """Keep the time once a minute, and tell what has become of the machine's clock; a chore."""
        now = self.time()
        if meters.clock_ahead is not None:
            meters.clock_ahead.set(now.ahead_us / SECOND_US)
        is_quiet = now.elapsed_us - self._told_us < TELL_US and self._told_us > 0
        news = [] if is_quiet else list(self._news(now))
        if not news and self._kept_us and now.elapsed_us - self._kept_us < KEEP_US:
            return False
        try:
            with transaction(self._store, self._control) as row:
                self._store.clock.keep(now)
                for severity, what, facts in news:
                    alerts.send(self._store.outbox, severity, what, row.now_us, **facts)
        except Unavailable:
            log.warning("clock not kept: the store takes no writes")
            return False
        self._kept_us = now.elapsed_us
        for severity, what, facts in news:
            log.log(_LEVELS[severity], what, **facts)
        if news:
            self._told, self._told_us, self._clock.furthest_us = now, now.elapsed_us, now.ahead_us
        return False

    def _news(self, now: ConfirmedTime) -> Iterator[tuple[str, str, dict[str, str | int]]]:
        """Give what people do not know yet: severity, what, facts."""
        for jump in now.jumps[-1:]:
            if jump.by_us and jump not in self._told.jumps:
                severity = alerts.WARNING if jump.by_us >= LONG_OUTAGE_US else alerts.INFO
                yield severity, "clock_outage", {"seconds": jump.by_us // SECOND_US}
        furthest_us = self._clock.furthest_us
        is_known = not furthest_us or abs(furthest_us - self._told.ahead_us) <= TOLERANCE_US
        if not is_known:
            yield alerts.CRITICAL, "clock_stepped", {"ahead_seconds": seconds(furthest_us), "what_to_do": TO_DO}
        if now.is_right and not (is_known and self._told.is_right):
            yield alerts.WARNING, "clock_right_again", {"was_ahead_seconds": seconds(furthest_us)}

    def confirm(self, order: ClockOrder) -> tuple[ConfirmedTime, bool]:
        """Take a person's word that the machine's clock is right, once for a key; durable when it returns.

        Gives confirmed time after it, and whether the word was taken before. Raises IdempotencyKeyReused or
        ClockNotConfirmed.
        """
        with once(self._store, self._control, order, self._store.clock.change) as (row, known):
            now = self.time()
            if known is not None:
                return now, True
            if now.is_right:
                raise ClockNotConfirmed("The machine's clock shows the time that passed; nothing is to be confirmed.")
            if abs(order.ahead_us - now.ahead_us) > TOLERANCE_US:
                raise ClockNotConfirmed(ahead_micros=str(now.ahead_us))
            after = confirmed(now)
            self._store.clock.keep(after)
            self._store.clock.enter_change(ClockChange(*order[:4], now.ahead_us, row.now_us))
            facts: dict[str, str | int] = {
                "ahead_seconds": seconds(now.ahead_us), "by": order.caller, "why": order.reason
            }  # fmt: skip
            alerts.send(self._store.outbox, alerts.CRITICAL, "clock_confirmed", row.now_us, **facts)
        log.error("clock_confirmed", **facts)
        self._clock.time = self._told = after
        self._clock.furthest_us = 0
        return after, False


def seconds(micros: int) -> int:
    """Give the nearest whole seconds of microseconds."""
    return (micros + SECOND_US // 2) // SECOND_US
