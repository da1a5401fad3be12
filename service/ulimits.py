"""Limits of the operating system that a server would meet at the worst moment, told when it starts.

Promises a sentence for each limit that is lower than what the settings let the server use, and to raise the number of
open files as far as this user may.
"""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service.settings import Settings

FILES_OF_A_PROCESS: Final = 128
"""Files, sockets and pipes of one process before its first caller."""
CONNECTIONS: Final = 1_024
"""Callers' connections for which a gateway needs room; one more is a file more."""
THREADS_OF_A_PROCESS: Final = 32
MEMORY_BYTES: Final = 2 << 30
"""Address space of a process: a log of 256 MiB, the queue, and the libraries."""


def shortages(settings: Settings, store: Path) -> Iterator[str]:
    """Say which limits are low, each with what is needed and what happens else."""
    needed = FILES_OF_A_PROCESS + CONNECTIONS + settings.watchers_max
    files = _raised(resource.RLIMIT_NOFILE, needed)
    if _is_below(files, needed):
        yield f"open files (ulimit -n): {files}, needed are {needed}; callers beyond are refused"
    longest = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if longest != resource.RLIM_INFINITY:
        yield (
            f"file size (ulimit -f): {longest} bytes, unlimited is needed; {store.name} and its log grow, and beyond "
            f"it every write is answered STORE_UNAVAILABLE"
        )
    for name, limit in (("address space (ulimit -v)", resource.RLIMIT_AS), ("data (ulimit -d)", resource.RLIMIT_DATA)):
        most = resource.getrlimit(limit)[0]
        if _is_below(most, MEMORY_BYTES):
            yield f"{name}: {most} bytes, needed are {MEMORY_BYTES}; a process that meets it ends"
    processes = 4 + settings.gateways + settings.run_workers
    threads = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if _is_below(threads, processes * THREADS_OF_A_PROCESS):
        yield (
            f"processes and threads of this user (ulimit -u): {threads}, needed are "
            f"{processes * THREADS_OF_A_PROCESS}; what ends can't be started again"
        )
    seconds = resource.getrlimit(resource.RLIMIT_CPU)[0]
    if seconds != resource.RLIM_INFINITY:
        yield f"processor time (ulimit -t): {seconds} s, unlimited is needed; a process that has used it is killed"


def _is_below(limit: int, needed: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < needed


def _raised(which: int, needed: int) -> int:
    """Raise a soft limit as far as is needed and allowed; gives what it is then."""
    soft, hard = resource.getrlimit(which)
    if _is_below(soft, needed):
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(which, (soft, hard))
    return soft
