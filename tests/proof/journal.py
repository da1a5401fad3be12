"""A client's journal under faults, and the oracle that holds it against the store.

The oracle of RELIABILITY: every acknowledged key exactly once with the acknowledged answer; every definite failure
zero times; every unknown zero or one time, and its retry gives one stable answer.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from holdline.client import Client, DeadlineExceeded, HoldlineError, Retry, Unavailable
from holdline.v1 import limit_service_pb2

from service import bootstrap
from service.engine.replay import replay
from service.storage.opening import open_ledger
from service.storage.verify import verify
from tests.service.wire import assign

ONCE = Retry(attempts_max=1)
DEFINITE = ("STORE_UNAVAILABLE", "OVERLOADED", "DRAINING")


class Journal:
    """Requests sent by several threads until told to stop, each with what its caller was told."""

    def __init__(self, listen: str, seed: int, callers: int = 4, prefix: str = "journal") -> None:
        self._listen = listen
        self._prefix = prefix
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.acknowledged: dict[str, tuple[limit_service_pb2.DecideRequest, str]] = {}
        self.failed: dict[str, limit_service_pb2.DecideRequest] = {}
        self.unknown: dict[str, limit_service_pb2.DecideRequest] = {}
        self.reasons: set[str] = set()
        self.unexpected: list[str] = []
        self._threads = [
            threading.Thread(target=self._send_until_stopped, args=(number, random.Random(seed + number)), daemon=True)
            for number in range(callers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for(self, acknowledged: int, seconds_max: float = 30.0) -> None:
        """Wait until so many were acknowledged in all."""
        wait_until(lambda: len(self.acknowledged) >= acknowledged, seconds_max, f"{acknowledged} acknowledged")

    def _send_until_stopped(self, number: int, rng: random.Random) -> None:
        position = 0
        caller = f"{self._prefix}-{number}"
        with Client(self._listen, caller=caller, retry=ONCE, timeout_seconds=2.0) as client:
            while not self._stop.is_set():
                position += 1
                request = assign(request_id=f"{number}-{position}", account_id=f"{caller}-{rng.randrange(10**9)}")
                self._send(client, f"{caller}/{request.request_id}", request)

    def _send(self, client: Client, key: str, request: limit_service_pb2.DecideRequest) -> None:
        try:
            response = client.send(request)
        except HoldlineError as error:
            with self._lock:
                self.reasons.add(error.reason)
                if error.reason in DEFINITE:
                    self.failed[key] = request
                elif isinstance(error, Unavailable | DeadlineExceeded):
                    self.unknown[key] = request
                else:
                    self.unexpected.append(f"{key}: {error.reason} {error}")
            # While a process is away nothing is learned from asking more often.
            time.sleep(0.05)
            return
        with self._lock:
            self.acknowledged[key] = (request, response.decision.decision_id)

    def absorb(self, other: "Journal") -> None:
        """Take over what another journal was told."""
        self.acknowledged |= other.acknowledged
        self.failed |= other.failed
        self.unknown |= other.unknown
        self.unexpected += other.unexpected

    def reconcile(self, listen: str, path: Path) -> None:
        """Hold the journal against the store: before the retries, after them, and again."""
        assert not self.unexpected, self.unexpected[:5]
        before = _keys(path)
        for key, (_, decision_id) in self.acknowledged.items():
            assert before.get(key) == decision_id, f"{key} was acknowledged and is not in the store as told"
        for key in self.failed:
            assert key not in before, f"{key} was refused and is in the store"
        with ExitStack() as stack:
            names = {key.partition("/")[0] for key in (*self.acknowledged, *self.unknown, *self.failed)}
            clients = {name: stack.enter_context(Client(listen, caller=name)) for name in names}
            self._ask_again(clients, before, path)

    def _ask_again(self, clients: dict[str, Client], before: dict[str, str], path: Path) -> None:
        for key, request in {**self.unknown, **self.failed}.items():
            client = clients[key.partition("/")[0]]
            first, second = client.send(request), client.send(request)
            assert first.decision == second.decision
            assert first.replayed == (key in before)
            assert second.replayed
        after = _keys(path)
        assert len(after) == len(self.acknowledged) + len(self.unknown) + len(self.failed)
        for key, (request, decision_id) in list(self.acknowledged.items())[-200:]:
            again = clients[key.partition("/")[0]].send(request)
            assert (again.replayed, again.decision.decision_id) == (True, decision_id)


def _keys(path: Path) -> dict[str, str]:
    """Give every key of the store with its decision, verified and replayed; each key once."""
    with open_ledger(f"sqlite:///{path}", bootstrap.now_us) as ledger:
        assert verify(ledger).faults == ()
        assert replay(ledger, bootstrap.make_control()).differences == ()
        made = [sealed.decided.decision for sealed in ledger.sealed_all()]
    keys = {f"{decision.caller}/{decision.request_id}": f"{decision.number:016x}" for decision in made}
    assert len(keys) == len(made), "a key has two decisions"
    return keys


def wait_until(holds: Callable[[], bool], seconds_max: float, what: str) -> None:
    """Poll until a claim holds."""
    give_up_at = time.monotonic() + seconds_max
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {seconds_max} s: {what}"
        time.sleep(0.01)
