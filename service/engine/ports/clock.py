"""What a store keeps of confirmed time."""

from typing import Protocol

from service.domain.clock import ClockChange, ConfirmedTime


class ClockStore(Protocol):
    """The part of a store that confirmed time is kept in; same transaction, same errors."""

    def kept(self) -> ConfirmedTime | None: ...
    def keep(self, time: ConfirmedTime) -> None: ...
    def change(self, key: str) -> ClockChange | None: ...
    def enter_change(self, change: ClockChange) -> None: ...
