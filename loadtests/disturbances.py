"""What goes wrong in the course of a run, each at its time, in threads beside the generators.

Promises that whatever lasts is ended, that what could not be done is told as a fault of the run, and that the report
knows when each began and ended.
"""

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

from holdline.client import Client, HoldlineError

from loadtests.abuse import ABUSES, Abuse
from loadtests.dates import days_ago
from loadtests.own_server import OwnServer
from loadtests.scenario import Disturbance, What


class Disturbances:
    """Runs a scenario's disturbances on time."""

    def __init__(self, listen: str, server: OwnServer | None, planned: tuple[Disturbance, ...]) -> None:
        self._listen = listen
        self._server = server
        self._planned = planned
        self._over = threading.Event()
        self._began = 0.0
        self._threads: list[threading.Thread] = []
        self.log: list[dict[str, Any]] = []
        """What happened: from and to in seconds of the load, and in words."""
        self.faults: list[str] = []
        self.business_date = ""
        """The date whose daily run was started; empty where none was."""

    def start(self, began: float) -> None:
        """Start; `began` is the load's start in monotonic seconds."""
        self._began = began
        for one in self._planned:
            thread = threading.Thread(target=self._act, args=(one,), name=one.what.value, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End what lasts, and wait for it."""
        self._over.set()
        for thread in self._threads:
            thread.join(90)
            if thread.is_alive():
                self.faults.append(f"{thread.name} does not end")

    def _act(self, one: Disturbance) -> None:
        if self._over.wait(max(self._began + one.at - time.monotonic(), 0)):
            return
        at = time.monotonic() - self._began
        try:
            told = self._do(one)
        except (HoldlineError, OSError, LookupError, RuntimeError) as error:
            self.faults.append(f"{one.what} could not be done: {error}")
            return
        entry = {"what": one.what.value, "from": at, "to": time.monotonic() - self._began, "told": told}
        self.log.append(entry)

    def _do(self, one: Disturbance) -> str:
        if one.what in ABUSES:
            abuse = Abuse(self._listen, one)
            ABUSES[one.what](abuse)
            self.faults += abuse.faults
            return abuse.summary()
        over_the_wire: dict[What, Callable[[Disturbance], str]] = {
            What.DAILY_RUN: self._daily_run, What.PLAYBOOK: self._playbook, What.PROMOTE: self._promote,
        }  # fmt: skip
        if one.what in over_the_wire:
            return over_the_wire[one.what](one)
        if self._server is None:
            raise LookupError("it needs a server of the test's own; use --start-server")
        return self._hurt(one, self._server)

    def _hurt(self, one: Disturbance, server: OwnServer) -> str:
        if one.what is What.KILL:
            return self._kill(one, server)
        if one.what is What.STOP:
            pid = server.pid(one.role)
            os.kill(pid, signal.SIGSTOP)
            self._over.wait(one.seconds)
            os.kill(pid, signal.SIGCONT)
            return f"{one.role} stood still for {one.seconds:g} s"
        if one.what is What.ROLLING_RESTART:
            return "; ".join(server.restart_gateways())
        if one.what is What.RESTART:
            server.stop()
            server.start()
            return "the server was stopped in order and started again"
        faults = {
            What.SLOW_DISK: ("sync_ms", one.milliseconds, f"every sync took {one.milliseconds} ms longer"),
            What.FULL_DISK: ("is_full", 1, "the disk was full"),
            What.CLOCK_STEP: ("clock_ms", one.milliseconds, f"the machine's clock was {one.milliseconds} ms off"),
        }
        name, measure, told = faults[one.what]
        server.set_faults(**{name: measure})
        self._over.wait(one.seconds)
        server.set_faults(**{name: 0})
        return told

    def _kill(self, one: Disturbance, server: OwnServer) -> str:
        killed = []
        for _ in range(one.count):
            pid = server.pid(one.role)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            if self._over.wait(max(one.seconds / one.count, 1.0)):
                break
        return f"{one.role} was killed {len(killed)} times"

    def _client(self) -> Client:
        return Client(self._listen, caller="load-on-call", timeout_seconds=5.0)

    def _daily_run(self, _: Disturbance) -> str:
        self.business_date = days_ago(1)
        with self._client() as client:
            client.start_run(self.business_date)
        return f"the run of {self.business_date} was started"

    def _playbook(self, one: Disturbance) -> str:
        with self._client() as client:
            began = time.monotonic()
            made = client.activate(
                one.playbook, ttl_seconds=max(int(one.seconds) + 60, 60), reason="a load test rehearses this"
            )
            took = time.monotonic() - began
            self._over.wait(one.seconds)
            client.end_activation(made.activation.activation_id, reason="the load test is over")
        return f"{one.playbook} was in force, acknowledged after {took * 1e3:.0f} ms"

    def _promote(self, _: Disturbance) -> str:
        text = resources.files("service.policies").joinpath("reference-2026-2.yaml").read_text(encoding="utf-8")
        version = f"load-{int(time.time())}"
        document = re.sub(r"^policy: \S+$", f"policy: {version}", text, count=1, flags=re.MULTILINE)
        with self._client() as client:
            # Where the server is busy a change waits its turn like everybody's.
            for _attempt in range(5):
                with contextlib.suppress(HoldlineError):
                    client.publish_policy(document, request_id=f"publish-{version}")
                    client.promote_policy(version, reason="a load test rehearses this", request_id=f"promote-{version}")
                    return f"policy {version} was promoted"
        raise RuntimeError("the server took no new policy")
