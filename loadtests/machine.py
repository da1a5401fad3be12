"""The machine that figures come from: what it is, how fast its disk syncs, what a process used."""

import os
import platform
import statistics
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import apsw

SYNCS: Final = 300


def cpu_seconds(pid: int) -> float:
    """Give the CPU time, user and system, that a process has used, in seconds; raises OSError where it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sync_us() -> tuple[float, float]:
    """Time fdatasync after a write of 8 KiB: p50 and p99 in microseconds."""
    with tempfile.NamedTemporaryFile(dir=tempfile.gettempdir()) as file:
        times = []
        for _ in range(SYNCS):
            file.write(b"\0" * 8192)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times), sorted(times)[SYNCS * 99 // 100]


def described() -> dict[str, Any]:
    """Give cores, kernel, versions and the disk's syncs (microseconds)."""
    median, high = sync_us()
    return {
        "cores": os.cpu_count(), "architecture": platform.machine(), "kernel": platform.release().split("-")[0],
        "python": platform.python_version(), "sqlite": apsw.sqlite_lib_version(),
        "sync_us": {"p50": round(median), "p99": round(high)},
        **{name: metadata.version(name) for name in ("grpcio", "protobuf", "uvloop", "hdrhistogram")},
    }  # fmt: skip
