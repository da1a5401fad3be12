"""Confirmed time in SQLite: the tables of migration 16.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from typing import Final

import msgspec

from service.domain.clock import ClockChange, ConfirmedTime, Jump
from service.storage.statements import STATEMENTS, Execute

_jumps: Final = msgspec.json.Decoder(tuple[Jump, ...]).decode


class SqliteClock:
    """The statements of migration 16."""

    def __init__(self, run: Execute) -> None:
        self._run = run

    def kept(self) -> ConfirmedTime | None:
        """Read confirmed time as it was last kept; nothing in a store that no engine has served yet."""
        found = self._run(STATEMENTS["clock"], ())
        if not found:
            return None
        *plain, is_rebooted, jumps = found[0]
        return ConfirmedTime._make([*plain, bool(is_rebooted), _jumps(jumps)])

    def keep(self, time: ConfirmedTime) -> None:
        """Keep confirmed time."""
        *plain, is_rebooted, jumps = time
        self._run(STATEMENTS["keep_clock"], (*plain, int(is_rebooted), msgspec.json.encode(jumps).decode()))

    def change(self, key: str) -> ClockChange | None:
        """Find the word on the clock that a key stands for."""
        found = self._run(STATEMENTS["clock_change"], (key,))
        return ClockChange(*found[0]) if found else None

    def enter_change(self, change: ClockChange) -> None:
        """Record a person's word on the clock."""
        self._run(STATEMENTS["insert_clock_change"], change)
