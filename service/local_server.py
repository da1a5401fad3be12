"""A server started on this machine for a while: by the demonstration, by tests, by load tests.

Promises a server of its own processes on a free loopback port, and its orderly end.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

START_SECONDS_MAX: Final = 60.0


class Server(NamedTuple):
    """A server that runs: its address, its process, and the file that says which processes it has now."""

    listen: str
    process: subprocess.Popen[bytes]
    ready: Path

    def pids(self) -> dict[str, Any]:
        """Give the present process ids: "supervisor", "engine", and "gateways" as a list."""
        found: dict[str, Any] = json.loads(self.ready.read_text(encoding="utf-8"))
        return found


@contextmanager
def running_server(folder: Path, *arguments: str) -> Iterator[Server]:
    """Start a server on a free loopback port with its store in a folder; ends it with SIGTERM."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "service.cli.main", "serve", "--listen", "127.0.0.1:0"]
    command += [
        "--store",
        f"sqlite:///{folder / 'holdline.db'}",
        "--ready-file",
        str(ready),
        "--set",
        "log_level=error",
    ]
    process = subprocess.Popen([*command, *arguments])
    try:
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError("the server did not start; its log stands above")
            time.sleep(0.02)
        yield Server(json.loads(ready.read_text(encoding="utf-8"))["listen"], process, ready)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS_MAX)
