"""Faults inside a server's processes, loaded by Python itself where a load test put this folder on its path.

Promises that nothing happens in any other process, and that the service's code knows nothing of it: in the engine a VFS
under SQLite whose syncs are slow or whose writes find no room; in all that read the store, a clock that was stepped and
time that passes without being waited for. What is wrong at a time stands in the file that HOLDLINE_LOAD_FAULTS names,
as JSON: sync_ms, is_full, clock_ms, passed_ms.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

READ_SECONDS: Final = 0.02
VARIABLE: Final = "HOLDLINE_LOAD_FAULTS"


class Faults:
    """What is wrong at present, read anew at most fifty times a second."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._read_at = 0.0
        self._found: dict[str, int] = {}

    def get(self, name: str) -> int:
        """Give a fault's measure; 0 where it is not there."""
        now = time.monotonic()
        if now - self._read_at > READ_SECONDS:
            self._read_at = now
            # A file that is just being written is read the next time.
            with contextlib.suppress(OSError, ValueError), self._path.open(encoding="ascii") as file:
                self._found = json.load(file)
        return self._found.get(name, 0)


def _install_clocks(faults: Faults) -> None:
    real_time_ns, real_gettime_ns = time.time_ns, time.clock_gettime_ns
    time.time_ns = lambda: real_time_ns() + (faults.get("clock_ms") + faults.get("passed_ms")) * 1_000_000
    time.clock_gettime_ns = lambda clock: real_gettime_ns(clock) + faults.get("passed_ms") * 1_000_000


def _install_disk(faults: Faults) -> None:
    import apsw

    # By its name: the default is this one, once it is there.
    base = apsw.vfs_names()[0]

    class File(apsw.VFSFile):
        def __init__(self, filename: Any, flags: list[int]) -> None:
            super().__init__(base, filename, flags)

        def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
            if faults.get("is_full"):
                raise apsw.FullError("no room, by order of a load test")
            super().xWrite(data, offset)

        def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
            time.sleep(faults.get("sync_ms") / 1_000)
            super().xSync(flags)

    class Disk(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("loadtest", base, makedefault=True)

        def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
            return File(name, flags)

    # SQLite keeps the pointer only; the object lives as long as the process.
    sys.modules[__name__].__dict__["disk"] = Disk()


if os.environ.get(VARIABLE):
    (role,) = sys.orig_argv[-1:] or [""]
    if role in ("engine", "sentry", "worker"):
        _install_clocks(Faults(os.environ[VARIABLE]))
    if role == "engine":
        _install_disk(Faults(os.environ[VARIABLE]))
