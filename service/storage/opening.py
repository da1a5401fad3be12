"""From a store's URL to the store: the only place that chooses which one is meant.

`sqlite:///PATH` is a store in one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from service.engine.ports.ledger import Ledger
    from service.storage.sqlite.store import SqliteStore

SQLITE: Final = "sqlite:///"


def path_of(url: str) -> Path:
    """Give the file that a store's URL names."""
    return Path(url.removeprefix(SQLITE))


def open_store(url: str, now_us: Callable[[], int], *, read_only: bool = False) -> SqliteStore:
    """Open a store; raises StoreRefused or StoreUnavailable.

    `now_us` is its clock: microseconds since the epoch UTC.
    """
    from service.storage.sqlite.store import SqliteStore

    return SqliteStore(path_of(url), now_us, read_only=read_only)


@contextmanager
def open_ledger(url: str, now_us: Callable[[], int]) -> Iterator[Ledger]:
    """Open a store to read it from end to end as it is now, beside a running server or without one."""
    ledger = open_store(url, now_us, read_only=True)
    try:
        ledger.hold_still()
        yield ledger
    finally:
        ledger.close()


def copy_store(url: str, path: Path, now_us: Callable[[], int]) -> None:
    """Copy a store into a new file, beside a running server or without one."""
    source = open_store(url, now_us, read_only=True)
    try:
        source.copy_to(path)
    finally:
        source.close()
