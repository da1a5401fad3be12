"""Peers as processes of their own: each prints its port and serves until its standard input ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Peer(NamedTuple):
    """A peer that runs: its address and its process."""

    listen: str
    pid: int


@contextmanager
def running(module: str, *arguments: str) -> Iterator[Peer]:
    """Run a peer's module, and end it."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Peer(f"127.0.0.1:{int(process.stdout.readline())}", process.pid)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
