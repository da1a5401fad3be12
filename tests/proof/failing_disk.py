"""A disk whose N-th write or sync fails, as a real VFS under SQLite: no mock, the call itself returns an error.

Promises that only what is counted fails, once or for good, and that everything else reaches the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

VFS_NAME = "failing"


class Plan:
    """Which call fails: the n-th of a sort ("write" or "sync"), once or from then on, with which error."""

    def __init__(self) -> None:
        self.sort = ""
        self.remaining = 0
        self.is_for_good = False
        self.error: type[apsw.Error] = apsw.IOError
        self.fired = 0

    def fail(self, sort: str, nth: int, *, is_for_good: bool, error: type[apsw.Error]) -> None:
        """Let the n-th call from now on fail."""
        self.sort, self.remaining, self.is_for_good, self.error, self.fired = sort, nth, is_for_good, error, 0

    def heal(self) -> None:
        """Let nothing fail."""
        self.sort = ""

    def check(self, sort: str) -> None:
        """Count a call and raise where it is the one."""
        if sort != self.sort:
            return
        self.remaining -= 1
        if self.remaining == 0 or (self.remaining < 0 and self.is_for_good):
            self.fired += 1
            raise self.error(f"{sort} made to fail")


PLAN = Plan()


class _File(apsw.VFSFile):
    def __init__(self, filename: Any, flags: list[int]) -> None:
        super().__init__("", filename, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        PLAN.check("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        PLAN.check("sync")
        super().xSync(flags)


class _Vfs(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(VFS_NAME, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _File(name, flags)


@contextmanager
def failing_disk() -> Iterator[Plan]:
    """Register the VFS for as long as a test takes."""
    vfs = _Vfs()
    PLAN.heal()
    try:
        yield PLAN
    finally:
        PLAN.heal()
        vfs.unregister()
