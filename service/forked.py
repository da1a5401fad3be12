"""The server's processes, forked from one that has loaded their code: it is loaded once and not once each.

Promises that a fork carries nothing of its parent but loaded code (no thread, no descriptor but its own three, no
handler of a signal, no session), or is not made: where that can't be had, processes start from nothing.
"""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Final, NoReturn

from service.settings import Settings

TASKS: Final = Path("/proc/self/task")
DESCRIPTORS: Final = Path("/proc/self/fd")
NAME: Final = Path("/proc/self/comm")
WAIT_SECONDS: Final = 0.01


class Forked:
    """A process of ours, with what a supervisor needs of `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: int, stdout: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb")

    def poll(self) -> int | None:
        """Give how the process ended, minus the signal's number where one ended it; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, for so many seconds at most; raises TimeoutExpired."""
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if give_up_at is not None and time.monotonic() >= give_up_at:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(WAIT_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process where it runs; a number that was given to another process is never meant."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)


def can_fork() -> bool:
    """Claim that a fork would be complete: on Linux, this process has one thread and its own standard streams.

    A thread holds locks that nobody would release in the child, and gRPC starts some when it is first used; elsewhere
    the system's own libraries refuse to work after a fork.
    """
    own = (sys.stdin, sys.stdout, sys.stderr)
    return (
        sys.platform == "linux"
        and None not in own
        and own == (sys.__stdin__, sys.__stdout__, sys.__stderr__)
        and TASKS.is_dir()
        and len(list(TASKS.iterdir())) == 1
    )


def fork_children(settings: Settings) -> list[tuple[str, Forked]]:
    """Load the code of every role and fork the processes of a server, by role, before it opens anything.

    Gives none where that can't be: the supervisor then starts each from nothing, as whenever one has to be replaced.
    """
    from service import launch

    if not settings.fork or not can_fork():
        return []
    roles = (
        "engine",
        "reader",
        "sentry",
        "engine",
        *["gateway"] * settings.gateways,
        *["worker"] * settings.run_workers,
    )
    for role in launch.CODE:
        launch.load(role)
    # What is loaded stays in pages that all share: no collection writes to them.
    gc.collect()
    gc.freeze()
    # Loading may have started a thread, so it is asked again.
    return fork_all(roles, launch.main) if can_fork() else []


def fork_all(roles: Iterable[str], main: Callable[[str], int]) -> list[tuple[str, Forked]]:
    """Fork one process for each role, which waits for its orders; in the processes themselves, never returns.

    What opens files, sockets or pipes comes later: a child's copies of such objects would close numbers that have long
    been other files of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    ends: list[tuple[str, int, int, int]] = []
    for role in roles:
        orders, order = os.pipe()
        reports, report = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(role, main, orders, report)
        os.close(orders)
        os.close(report)
        ends.append((role, pid, order, reports))
    return [(role, Forked(pid, order, reports)) for role, pid, order, reports in ends]


def _become(role: str, main: Callable[[str], int], orders: int, report: int) -> NoReturn:
    """Be the child: what `subprocess` and a new interpreter would make it, then its role until it ends.

    It ends as any process does (threads joined, exporters flushed), through frames of its parent that hold nothing.
    """
    try:
        os.setsid()
        os.dup2(orders, 0)
        os.dup2(report, 1)
        _close_the_rest()
        # The parent's stream objects know what kind of file theirs was.
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What `ps` and `top` can show, as the command line is the supervisor's; where it can't be set, they show that.
        with contextlib.suppress(OSError):
            NAME.write_text(role, encoding="ascii")
        code = main(role)
    except Exception:  # noqa: BLE001  # The command line above would make a sentence of it.
        traceback.print_exc()
        code = 1
    raise SystemExit(code)


def _close_the_rest() -> None:
    """Close all but the standard streams: its sisters' lifelines too, which would else outlive their supervisor."""
    for number in [int(one.name) for one in DESCRIPTORS.iterdir()]:
        # The one that listed them is closed already.
        if number > 2:
            with contextlib.suppress(OSError):
                os.close(number)
