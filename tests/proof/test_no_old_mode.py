"""No decision under an old mode: once a change is acknowledged, nothing that disobeys it commits.

Goal: promise 4. Method: callers hammer a store through several gateways while one person activates and ends playbooks
200 times and policies are promoted and rolled back, with engines killed in between. Afterwards the decision log is held
against the log of changes in the store's own order: each change knows the newest decision before it. Beside that, each
caller holds its answer against what was acknowledged before it asked. The hammer takes any number of servers, so that
several engines join once a store allows them.

Mutations that this catches: the mode kept for 50 ms instead of read for each batch; the mode read before the
transaction begins (both below).
"""

import os
import random
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from holdline.client import Budget, Client, Retry

from service.domain.decision import Decided
from service.engine import execute as execute_module
from service.engine.control import Control
from service.engine.ports.store import ControlRow, Store
from service.local_server import Server, running_server
from service.storage.memory.store import MemoryStore
from service.storage.opening import open_ledger
from tests.builders import NOW_US, Bench, command, document
from tests.service.wire import assign, title_of

CHANGES = 230
"""Of these every tenth is a roll-back of the policy, the others activate and end."""
KILLS = 4
PLAYBOOKS = ("freeze_raises", "freeze_reductions", "hold_last_known_good", "cap_growth", "static_scorecard")
OTHER_POLICY = "hammer-1"


class Asked(NamedTuple):
    """One decision as its caller saw it: acknowledgements before it was asked and after it was answered."""

    before: int
    after: int
    activations: frozenset[str]
    policy_version: str


class Acknowledged:
    """What was acknowledged so far, in order: the activations in force and the policy after each change."""

    def __init__(self) -> None:
        self.states: list[tuple[frozenset[str], str]] = [(frozenset(), "reference-2026-2")]

    def note(self, activations: frozenset[str], policy_version: str) -> None:
        self.states.append((activations, policy_version))


@contextmanager
def _hammering(servers: Sequence[Server], acknowledged: Acknowledged, callers: int = 4) -> Iterator[list[Asked]]:
    """Decide from several threads until the block ends; what each was answered is in the list."""
    asked: list[Asked] = []
    over = threading.Event()

    def hammer(number: int) -> None:
        rng = random.Random(number)
        listen = servers[number % len(servers)].listen
        with _patient(listen, f"hammer-{number}") as client:
            while not over.is_set():
                before = len(acknowledged.states) - 1
                account_id = f"h-{number}-{rng.randrange(10**9)}"
                made = client.send(assign(account_id=account_id, request_id=account_id)).decision
                # A change may be in force, and in the answer, before its acknowledgement is noted: one more counts.
                after = len(acknowledged.states)
                asked.append(Asked(before, after, frozenset(map(title_of, made.activations)), made.policy_version))

    threads = [threading.Thread(target=hammer, args=(number,), daemon=True) for number in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def _patient(listen: str, caller: str) -> Client:
    """Give a client that outlives an engine's death."""
    retry, budget = Retry(200, 0.02, 0.2), Budget(tokens=10_000, tokens_max=10_000)
    return Client(listen, caller=caller, timeout_seconds=30.0, retry=retry, budget=budget)


def _switch(client: Client, acknowledged: Acknowledged, changes: int, between: Callable[[int], None]) -> None:
    """Activate and end, promote and roll back, and note each acknowledgement."""
    rng = random.Random(7)
    in_force: dict[str, str] = {}
    policy = "reference-2026-2"
    client.publish_policy(document().replace("policy: reference-2026-2", f"policy: {OTHER_POLICY}"))
    client.promote_policy(OTHER_POLICY, reason="hammer")
    policy = OTHER_POLICY
    acknowledged.note(frozenset(), policy)
    for change in range(changes):
        between(change)
        if change % 10 == 9:
            left, policy = policy, "reference-2026-2" if policy == OTHER_POLICY else OTHER_POLICY
            client.rollback_policy("revolving", from_version=left, to_version=policy, reason="hammer")
        elif in_force and (len(in_force) == len(PLAYBOOKS) or rng.random() < 0.5):
            name = rng.choice(sorted(in_force))
            client.end_activation(in_force.pop(name).partition("@")[0], reason="hammer")
        else:
            name = rng.choice(sorted(set(PLAYBOOKS) - set(in_force)))
            made = client.activate(name, ttl_seconds=3_600, reason="hammer").activation
            in_force[name] = f"{made.activation_id}@{made.playbook}/v{made.version}"
        acknowledged.note(frozenset(in_force.values()), policy)


def _disobedient(asked: Sequence[Asked], acknowledged: Acknowledged) -> list[Asked]:
    """Give the answers that obey none of the states between what was acknowledged before and after them."""
    return [
        one
        for one in asked
        if not any(
            state == (one.activations, one.policy_version)
            for state in acknowledged.states[one.before : one.after + 1]
        )
    ]  # fmt: skip


def _old_in_store(path: Path) -> list[str]:
    """Give the decisions of a store that disobey a change before them, by the store's own order."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        changes = store.execute(
            "SELECT c.after_decision, c.action, 'A' || a.number || '@' || a.playbook || '/v' || a.version"
            " FROM activation_changes c JOIN activations a ON a.number = c.number ORDER BY c.sequence"
        ).fetchall()
    found: list[str] = []
    modes: dict[str, frozenset[str]] = {}
    batches: dict[int, str] = {}
    in_force: set[str] = set()
    waiting = list(reversed(changes))
    for decided in _decisions(path):
        decision = decided.decision
        while waiting and waiting[-1][0] < decision.number:
            _, action, title = waiting.pop()
            in_force = in_force | {title} if action == "activate" else in_force - {title}
        if set(decision.activations) != in_force:
            found.append(f"{decision.number:016x}: {sorted(decision.activations)} instead of {sorted(in_force)}")
        if modes.setdefault(decision.mode_id, frozenset(in_force)) != in_force:
            found.append(f"{decision.mode_id} means two things")
        if batches.setdefault(decision.decided_us, decision.mode_id) != decision.mode_id:
            found.append(f"the batch of {decision.decided_us} mixes modes")
    return found


def _decisions(path: Path) -> Iterator[Decided]:
    from service import bootstrap

    with open_ledger(f"sqlite:///{path}", bootstrap.now_us) as ledger:
        for sealed in ledger.sealed_all():
            yield sealed.decided


def _hammer(folder: Path, changes: int, kills: int) -> tuple[list[Asked], list[str], int]:
    """Hammer a server; gives what disobeyed, by its caller's order and by the store's, and how much was asked."""
    acknowledged = Acknowledged()
    with (
        running_server(folder, "--gateways", "2") as server,
        _hammering([server], acknowledged) as asked,
        _patient(server.listen, "olga") as client,
    ):

        def kill(change: int) -> None:
            if kills and change % (changes // kills) == changes // kills // 2:
                os.kill(server.pids()["engine"], signal.SIGKILL)

        _switch(client, acknowledged, changes, kill)
    return _disobedient(asked, acknowledged), _old_in_store(folder / "holdline.db"), len(asked)


@pytest.mark.timeout(300)
def test_no_decision_disobeys_an_acknowledged_change_of_mode_or_policy(tmp_path: Path) -> None:
    disobedient, old, count = _hammer(tmp_path, CHANGES, KILLS)

    assert disobedient == []
    assert old == []
    assert count >= CHANGES


MUTANT = '''
import time
from service.engine import control

true_refresh = control.Control.refresh
last = [0.0]

def stale_refresh(self, store):
    """Read the mode every 50 ms only."""
    if time.monotonic() - last[0] < 0.05 and self._generation >= 0:
        return store.control()
    last[0] = time.monotonic()
    return true_refresh(self, store)

control.Control.refresh = stale_refresh
control.Control.forget = lambda self: None
'''


@pytest.mark.timeout(300)
def test_an_engine_that_keeps_the_mode_for_a_moment_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mutant").mkdir()
    (tmp_path / "mutant" / "sitecustomize.py").write_text(MUTANT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mutant"))

    disobedient, old, _ = _hammer(tmp_path, CHANGES // 4, 0)

    assert disobedient
    assert old


class _TwoEngines(NamedTuple):
    """Two engines over one store: while one begins a transaction, the other activates a playbook."""

    store: MemoryStore
    one: Bench
    other: Bench


def _two_engines() -> _TwoEngines:
    store = MemoryStore(lambda: NOW_US)
    return _TwoEngines(store, Bench(store), Bench(store))


def _decided_while_another_activates(engines: _TwoEngines) -> Decided:
    engines.one.execute(command(request_id="first", account_id="a-0"))
    true_begin = engines.store.begin

    def begin() -> None:
        engines.store.begin = true_begin  # type: ignore[method-assign]  # once.
        engines.other.order("activate", "k", playbook="freeze_raises")
        true_begin()

    engines.store.begin = begin  # type: ignore[method-assign]  # for the next transaction.
    (answer,) = engines.one.execute(command(request_id="second", account_id="a-1"))
    assert isinstance(answer, Decided)
    return answer


def test_an_activation_by_another_engine_just_before_the_transaction_is_obeyed() -> None:
    answer = _decided_while_another_activates(_two_engines())

    assert answer.decision.activations == ("A1@freeze_raises/v1",)


def test_an_engine_that_reads_the_mode_before_the_transaction_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def too_early(store: Store, control: Control) -> Iterator[ControlRow]:
        row = control.refresh(store)
        store.begin()
        yield row
        store.commit()

    monkeypatch.setattr(execute_module, "transaction", too_early)

    answer = _decided_while_another_activates(_two_engines())

    assert answer.decision.activations == ()
