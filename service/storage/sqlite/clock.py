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
from service.storage.sqlite.forms import FLAG, Form, json_of
from service.storage.sqlite.sql import STATEMENTS, Execute

TIME: Final = Form(
    ConfirmedTime,
    {
        "is_rebooted": FLAG,
        "jumps": json_of(tuple[Jump, ...]),
    },
    reads="",  # With the seal, which is no field.
    enters="keep_clock",
)
CLOCK_CHANGES: Final = Form(ClockChange, reads="clock_change", enters="insert_clock_change")

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
        return TIME.record(row)

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
        columns = TIME.bound(time)
        self._run(STATEMENTS["keep_clock"], {**columns, "seal": _seal(list(columns.values()))})

    def change(self, key: str) -> ClockChange | None:
        """Find the word on the clock that a key stands for."""
        return CLOCK_CHANGES.first(self._run(STATEMENTS["clock_change"], (key,)))

    def enter_change(self, change: ClockChange) -> None:
        """Record a person's word on the clock."""
        self._run(STATEMENTS["insert_clock_change"], CLOCK_CHANGES.bound(change))
