"""A store's file under its name: one writer, whatever it is called, for its owner alone, and still where it was.

Promises that the lock is on the file itself, so that no other name of it (a hard link, a symbolic link, another mount)
and no removed lock file lets a second writer in; and that a writer can tell when its name leads to another file or to
none. The descriptor stays open until the store is closed: to close any descriptor of a file gives back the locks that
SQLite holds on it in the same process.
"""

import fcntl
import os
import stat
import time
from pathlib import Path
from typing import Final

import structlog

from service.storage.sqlite.migrate import StoreRefused

LOCK_SECONDS_MAX: Final = 0.5
"""Longest wait for the lock: a reader that looks at the log of a store without a server holds it for a moment."""
_LOCK_PAUSE_SECONDS: Final = 0.02
OWNER_ONLY: Final = 0o600
_HEADER: Final = b"SQLite format 3\x00"

log = structlog.get_logger("holdline.storage")


class DatabaseFile:
    """The open database file, and the identities of what stands under its names."""

    def __init__(self, path: Path, *, is_writer: bool) -> None:
        """Open a file, as its writer lock it and let nobody else read it.

        Raises StoreRefused where another engine writes it, OSError where it can't be opened.
        """
        # The log is found by the name of the file, so a symbolic link would give the file a second log.
        self.path = Path(os.path.realpath(path))
        self.log_path = Path(f"{self.path}-wal")
        flags = os.O_RDWR | os.O_CREAT if is_writer else os.O_RDONLY
        self.descriptor = os.open(self.path, flags | os.O_CLOEXEC, OWNER_ONLY)
        self._file = _identity(os.fstat(self.descriptor))
        self._log: tuple[int, int] | None = None
        if is_writer:
            try:
                self._lock()
                self._refuse_replaced()
            except StoreRefused:
                os.close(self.descriptor)
                raise
            if not self._may_be_store():
                # Somebody's file that was named by mistake; it is refused as it was found.
                return
            for name in (self.path, self.log_path, Path(f"{self.path}-shm")):
                keep_private(name)

    def _may_be_store(self) -> bool:
        return os.pread(self.descriptor, len(_HEADER), 0) in (b"", _HEADER)

    def _lock(self) -> None:
        give_up_at = time.monotonic() + LOCK_SECONDS_MAX
        while not self._takes(fcntl.LOCK_EX):
            if time.monotonic() > give_up_at:
                raise StoreRefused(
                    f"another engine writes {self.path.name}, perhaps by another name; one file has one writer"
                )
            time.sleep(_LOCK_PAUSE_SECONDS)

    def _refuse_replaced(self) -> None:
        # The name may have been given to another file between opening and locking.
        if not self._is_at(self.path, self._file):
            raise StoreRefused(f"{self.path.name} was replaced while it was opened; start again")

    def _takes(self, lock: int) -> bool:
        try:
            fcntl.flock(self.descriptor, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def hold_writers_off(self) -> bool:
        """Keep writers from starting until `let_writers_in`; gives whether there is none now."""
        return self._takes(fcntl.LOCK_SH)

    def let_writers_in(self) -> None:
        """End what `hold_writers_off` began."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def note_log(self) -> None:
        """Take what stands under the log's name for the log; for after SQLite has opened it."""
        self._log = _identity(self.log_path.stat())

    def is_in_place(self) -> bool:
        """Claim that the names of the file and of its log still lead to them."""
        return self._is_at(self.path, self._file) and (self._log is None or self._is_at(self.log_path, self._log))

    @property
    def names(self) -> int:
        """How many names (hard links) the file has; 0 where it was unlinked."""
        return os.fstat(self.descriptor).st_nlink

    def close(self) -> None:
        """Give up the lock; after SQLite has closed its own descriptors."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    @staticmethod
    def _is_at(path: Path, identity: tuple[int, int]) -> bool:
        try:
            return _identity(os.stat(path)) == identity  # noqa: PTH116 - once a commit: half the cost of Path.stat.
        except OSError:
            return False


def keep_private(path: Path) -> None:
    """Let only the owner read and write a file, if it is there; what was open to others is told in the log."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~OWNER_ONLY:
            path.chmod(OWNER_ONLY)
            log.warning("closed to others", file=path.name, mode_before=f"{mode:04o}")
    except FileNotFoundError:
        return
    except PermissionError:
        # Another user's file in a shared place: its owner decides who reads it.
        log.warning("open to others", file=path.name, mode=f"{mode:04o}")


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
