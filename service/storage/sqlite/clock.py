"""Confirmed time in SQLite: the tables of migration 16.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
import structlog

from service.domain.clock import ClockChange, ConfirmedTime, Jump
from service.engine.ports.ledger import Unreadable
from service.storage.sqlite.sql import STATEMENTS, Execute

_jumps: Final = msgspec.json.Decoder(tuple[Jump, ...]).decode

UNREADABLE: Final = ("what is kept", b"")
"""In place of a row with a text that is none; no seal agrees with it."""

log = structlog.get_logger("holdline.storage")


def _seal(row: Sequence[Any]) -> bytes:
    return blake2b(msgspec.json.encode(row), digest_size=16, person=b"holdline.clock").digest()


class SqliteClock:
    """The statements of migration 16."""

    def __init__(self, run: Execute) -> None:
        self._run = run

    def kept(self) -> ConfirmedTime | None:
        """Read confirmed time as it was last kept; nothing in a store that no engine has served yet."""
        found = self._rows()
        if not found:
            return None
        *row, seal = found[0]
        if seal != _seal(row):
            # The machine's clock and the newest record are more to go on than a time that was damaged.
            log.error("kept time is damaged and not used")
            return None
        *plain, is_rebooted, jumps = row
        return ConfirmedTime._make([*plain, bool(is_rebooted), _jumps(jumps)])

    def damage(self) -> list[str]:
        """Say what is wrong with what is kept."""
        return [f"clock: {row[0]} does not agree with its seal" for *row, seal in self._rows() if seal != _seal(row)]

    def _rows(self) -> list[Any]:
        try:
            return self._run(STATEMENTS["clock"], ())
        except Unreadable:
            return [UNREADABLE]

    def keep(self, time: ConfirmedTime) -> None:
        """Keep confirmed time."""
        *plain, is_rebooted, jumps = time
        row = [*plain, int(is_rebooted), msgspec.json.encode(jumps).decode()]
        self._run(STATEMENTS["keep_clock"], (*row, _seal(row)))

    def change(self, key: str) -> ClockChange | None:
        """Find the word on the clock that a key stands for."""
        found = self._run(STATEMENTS["clock_change"], (key,))
        return ClockChange(*found[0]) if found else None

    def enter_change(self, change: ClockChange) -> None:
        """Record a person's word on the clock."""
        self._run(STATEMENTS["insert_clock_change"], change)
