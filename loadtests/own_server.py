"""The server that a load test starts, and may hurt: on a free loopback port, with a store in a folder.

Promises that it is gone when the run is, with every process of it, whatever happened in between.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from loadtests.injected import sitecustomize
from loadtests.scenario import Scenario
from service.local_server import Server, running_server

BACK_SECONDS_MAX: Final = 30.0
INJECTED: Final = Path(sitecustomize.__file__).parent
FORK: Final = "HOLDLINE_FORK"
"""Faults are loaded by each process as it starts from nothing, by its role; forked ones would have none."""


class OwnServer:
    """A running server, its processes, and what can be done to them."""

    def __init__(self, scenario: Scenario, folder: Path, *, has_faults: bool) -> None:
        self._scenario = scenario
        self._folder = folder
        self._stack = ExitStack()
        self._faults: dict[str, int] = {}
        self._fault_file = folder / "faults.json" if has_faults else None
        self.metrics_port = free_ports(1 + scenario.server.gateways + 1)
        self.listen = ""
        self._server: Server | None = None
        self.set_faults()

    @property
    def path(self) -> Path:
        """The store's file."""
        return self._folder / "holdline.db"

    def start(self) -> None:
        """Start it, on the address that it had before where it was stopped."""
        own = self._scenario.server
        arguments = ["--gateways", str(own.gateways), "--metrics-port", str(self.metrics_port)]
        arguments += ["--set", f"run_workers={own.workers}"]
        for name, value in own.settings.items():
            arguments += ["--set", f"{name}={value}"]
        if self.listen:
            arguments += ["--listen", self.listen]
        with _environment(self._fault_file):
            self._server = self._stack.enter_context(running_server(self._folder, *arguments))
        self.listen = self._server.listen

    def stop(self) -> None:
        """Stop it in order."""
        self._stack.close()
        self._stack = ExitStack()
        self._server = None

    def pids(self) -> dict[str, list[int]]:
        """Give its present process ids by role."""
        if self._server is None:
            return {}
        try:
            found = self._server.pids()
        except (OSError, ValueError):
            return {}
        return {
            "engine": [found["engine"]], "sentry": [found["sentry"]], "gateway": found["gateways"],
            "worker": found["workers"],
        }  # fmt: skip

    def pid(self, role: str) -> int:
        """Give a process of a role; raises LookupError where there is none."""
        found = self.pids().get(role, [])
        if not found:
            raise LookupError(f"no {role} runs")
        return found[0]

    def restart_gateways(self) -> Iterator[str]:
        """Drain each gateway in turn, and wait until another one is in its place; tells of each."""
        for place in range(len(self.pids().get("gateway", []))):
            old = self.pids()["gateway"][place]
            os.kill(old, signal.SIGTERM)
            give_up_at = time.monotonic() + BACK_SECONDS_MAX
            while old in self.pids().get("gateway", [old]) and time.monotonic() < give_up_at:
                time.sleep(0.05)
            yield f"gateway {old} was drained"

    def set_faults(self, **faults: int) -> None:
        """Put faults into the server, or take them out with 0: sync_ms, is_full, clock_ms, passed_ms."""
        self._faults |= faults
        if self._fault_file is not None:
            partial = self._fault_file.with_suffix(".partial")
            partial.write_text(json.dumps(self._faults), encoding="ascii")
            partial.replace(self._fault_file)

    def run_cli(self, *arguments: str) -> dict[str, Any]:
        """Run a command on the store and give its JSON."""
        command = [sys.executable, "-m", "service.cli.main", *arguments, "--store", f"sqlite:///{self.path}", "--json"]
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=600)
        if not done.stdout.strip():
            raise RuntimeError(f"{' '.join(arguments)} gave nothing: {done.stderr.strip()[-500:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@contextmanager
def _environment(fault_file: Path | None) -> Iterator[None]:
    """Let the processes that are started meanwhile, and their children, load the faults."""
    if fault_file is None:
        yield
        return
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", sitecustomize.VARIABLE, FORK)}
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(INJECTED), before["PYTHONPATH"])))
    os.environ[sitecustomize.VARIABLE] = str(fault_file)
    os.environ[FORK] = "false"
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def free_ports(count: int) -> int:
    """Find so many free ports in a row on loopback, and give the first."""
    for _ in range(100):
        with ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                for more in range(1, count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port + more)))
                return port
    raise OSError("no free ports in a row")
