"""The dead man's switch on the guards: when their signals stop coming, say so, then take the safe way.

Promises an alert once the guards have been silent for so long, and the configured playbook once they have been silent
twice as long; only a person, or the activation's end time, restores. Guards count as heard when they have seen the
decisions that stood in the log at their report before (RELIABILITY, case 15).
"""

from typing import Final

from service.domain.playbook import Playbook
from service.engine.ports.store import ControlRow, Store
from service.engine.safety import alerts, safe_mode

CALLER: Final = "holdline:dead-man"


class DeadMan:
    """Watches over the guards; times in microseconds of the machine's monotonic clock."""

    def __init__(self, silence_us_max: int, playbook: Playbook | None, ttl_seconds: int, now_us: int) -> None:
        self._silence_us_max = silence_us_max
        self._safe_mode = playbook
        self._ttl_seconds = ttl_seconds
        self._heard_us = now_us
        self._head_before = 0
        self._has_alarmed = False
        self._has_acted = False

    def heard(self, watermark: int, head: int, now_us: int) -> None:
        """Take note of a report: the newest decision that the guards have seen, and the newest there is."""
        if watermark >= self._head_before:
            self._heard_us = now_us
            self._has_alarmed = self._has_acted = False
        self._head_before = head

    def is_due(self, now_us: int) -> bool:
        """Claim that `act` has something to do; cheap, asked every second."""
        silence_us = now_us - self._heard_us
        if not self._silence_us_max or silence_us <= self._silence_us_max:
            return False
        return not self._has_alarmed or (
            self._safe_mode is not None and not self._has_acted and silence_us > 2 * self._silence_us_max
        )

    def act(self, store: Store, row: ControlRow, now_us: int) -> str:
        """Alert or put the safe mode in force, inside a transaction; gives what was done."""
        seconds = (now_us - self._heard_us) // 1_000_000
        if not self._has_alarmed:
            self._has_alarmed = True
            alerts.send(store.outbox, alerts.CRITICAL, "guards_silent", row.now_us, seconds=seconds)
            return "alerted"
        assert self._safe_mode is not None
        self._has_acted = True
        why = f"the guards have been silent for {seconds} seconds"
        return safe_mode.enter(store, self._safe_mode, self._ttl_seconds, CALLER, why, "dead_man_acted", row.now_us)
