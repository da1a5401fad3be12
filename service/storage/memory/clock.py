"""Confirmed time in memory, by the same rules as the durable stores."""

from copy import copy

from service.domain.clock import ClockChange, ConfirmedTime


class MemoryClock:
    """One record and a dictionary; `snapshot` and `restore` make them part of the store's transaction."""

    def __init__(self) -> None:
        self._kept: ConfirmedTime | None = None
        self._changes: dict[str, ClockChange] = {}

    def snapshot(self) -> dict[str, object]:
        """Give what `restore` needs."""
        return {name: copy(value) for name, value in vars(self).items()}

    def restore(self, snapshot: dict[str, object]) -> None:
        """Go back to a snapshot."""
        vars(self).update(snapshot)

    def kept(self) -> ConfirmedTime | None:
        """Read confirmed time as it was last kept; nothing in a store that no engine has served yet."""
        return self._kept

    def keep(self, time: ConfirmedTime) -> None:
        """Keep confirmed time."""
        self._kept = time

    def change(self, key: str) -> ClockChange | None:
        """Find the word on the clock that a key stands for."""
        return self._changes.get(key)

    def enter_change(self, change: ClockChange) -> None:
        """Record a person's word on the clock."""
        self._changes[change.key] = change
