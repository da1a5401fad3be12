"""Steps of the machine's clock under a live server: told at once, and nothing is purged, lapses or stands still.

Goal: fault 25 of the catalogue. Method: the clocks of all processes are driven from outside, the machine's and the time
that passes apart from each other, so nothing is waited for; what callers see is held against the time that passed.
"""

import json
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from holdline.client import Client, HoldlineError
from holdline.v1.draw_pb2 import HoldState
from holdline.v1.money_pb2 import Money

from loadtests.injected import sitecustomize
from loadtests.own_server import FORK
from service import bootstrap
from service.local_server import Server, running_server
from service.storage.opening import open_ledger
from service.storage.verify import verify
from tests.proof.journal import ONCE, wait_until
from tests.service.command_line import invoked
from tests.service.conftest import ROLES
from tests.service.oncall import refused
from tests.service.test_telemetry import _free_ports
from tests.service.wire import assign, fresh

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SOON = timedelta(seconds=60)
"""Longer than any of these tests takes by itself."""
AMOUNT = Money(minor_units=10_000, currency_code="CNY")


class Machine:
    """A server on a machine whose clocks are driven."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._faults = folder / "faults.json"
        self._set: dict[str, int] = {"clock_ms": 0, "passed_ms": 0}
        self._stack = stack
        self._clients: dict[str, Client] = {}
        self._write()
        (folder / "roles.yaml").write_text(ROLES, encoding="utf-8")
        self.path = folder / "holdline.db"
        self.port = _free_ports()
        flags = ("--set", f"roles_file={folder / 'roles.yaml'}", "--metrics-port", str(self.port))
        self.server: Server = stack.enter_context(running_server(folder, *flags))

    def _write(self) -> None:
        partial = self._faults.with_suffix(".partial")
        partial.write_text(json.dumps(self._set), encoding="ascii")
        partial.replace(self._faults)

    def as_(self, name: str) -> Client:
        """Give a client by its caller's name."""
        if name not in self._clients:
            self._clients[name] = self._stack.enter_context(Client(self.server.listen, caller=name, retry=ONCE))
        return self._clients[name]

    @property
    def now(self) -> datetime:
        """The store's time."""
        return self.as_("olga").mode().clock.time.ToDatetime(tzinfo=UTC)

    @property
    def ahead(self) -> timedelta:
        """How far the machine's clock is said to be ahead, in whole seconds."""
        return timedelta(seconds=round(self.as_("olga").mode().clock.ahead_micros / 1_000_000))

    def set_ahead(self, ahead: timedelta, told: timedelta) -> None:
        """Set the machine's clock so far ahead, and wait until `mode` tells of it."""
        self._set["clock_ms"] = int(ahead.total_seconds() * 1_000)
        self._write()
        wait_until(lambda: self.ahead == told, 20, f"the clock is {told} ahead")

    def passes(self, span: timedelta) -> None:
        """Let time pass: both clocks go on."""
        due = self.now + span
        self._set["passed_ms"] += int(span.total_seconds() * 1_000)
        self._write()
        wait_until(lambda: self.now >= due, 20, "time passes")

    def alerts(self, kind: str) -> int:
        """Count alerts of a kind, on their way or told."""
        found = list(self.as_("olga").alerts(["delivered", "waiting"]))
        # One that is told between the two looks is seen twice.
        return len({one.message_id for one in found if one.kind == kind})

    def in_force(self) -> list[str]:
        """Give the playbooks in force."""
        return [one.playbook for one in self.as_("olga").mode().mode.activations]

    def purges(self) -> None:
        """Wait until the engine's chores have come round several times."""

        def seen() -> int:
            return max((one.seen_at.ToNanoseconds() for one in self.as_("olga").mode().engines), default=0)

        # What was reported before a clock was confirmed ahead is no longer shown.
        wait_until(lambda: seen() > 0, 30, "the engine was seen")
        before = seen()
        wait_until(lambda: seen() > before, 30, "chores ran")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    injected = str(Path(sitecustomize.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (injected, os.environ.get("PYTHONPATH")))))
    monkeypatch.setenv(sitecustomize.VARIABLE, str(tmp_path / "faults.json"))
    monkeypatch.setenv(FORK, "false")
    with ExitStack() as stack:
        made = Machine(tmp_path, stack)
        yield made
    with open_ledger(f"sqlite:///{made.path}", bootstrap.now_us) as ledger:
        assert verify(ledger).faults == ()


def _account(machine: Machine) -> str:
    return str(machine.as_("shop").send(assign()).decision.account_id)


def _held(machine: Machine, account_id: str, ttl_seconds: int) -> Callable[[], str]:
    hold = machine.as_("shop").authorize(account_id, AMOUNT, ttl_seconds=ttl_seconds).hold
    return lambda: HoldState.Name(machine.as_("shop").hold(account_id, hold.hold_id).state).removeprefix("HOLD_STATE_")


@pytest.mark.parametrize("ahead", [DAY, -DAY, 80 * HOUR, HOUR, -HOUR], ids=str)
def test_after_a_step_with_decisions_and_back_again_what_lasts_a_minute_lasts_a_minute(
    machine: Machine, ahead: timedelta
) -> None:
    account_id = _account(machine)
    state = _held(machine, account_id, 60)
    machine.as_("olga").activate("freeze_raises", ttl_seconds=60, reason="for a minute")
    before = machine.now

    machine.set_ahead(ahead, told=ahead)
    decided = machine.as_("shop").decide(account_id, "raise").decision
    during = state(), machine.in_force()
    machine.set_ahead(timedelta(), told=timedelta())
    after = state(), machine.in_force()
    machine.passes(timedelta(seconds=75))
    later = state(), machine.in_force()

    assert during == after == ("OPEN", ["freeze_raises"])
    assert later == ("EXPIRED", [])
    assert timedelta() <= decided.decided_at.ToDatetime(tzinfo=UTC) - before < SOON
    assert timedelta(seconds=75) <= machine.now - before < timedelta(seconds=75) + SOON


def test_a_jump_of_80_hours_purges_no_key_and_the_same_draw_is_held_once(machine: Machine) -> None:
    account_id = _account(machine)
    key = fresh("draw")
    first = machine.as_("shop").authorize(account_id, AMOUNT, request_id=key)

    machine.set_ahead(80 * HOUR, told=80 * HOUR)
    machine.purges()
    during = machine.as_("shop").authorize(account_id, AMOUNT, request_id=key)
    machine.set_ahead(timedelta(), told=timedelta())
    after = machine.as_("shop").authorize(account_id, AMOUNT, request_id=key)

    assert during == after == first
    assert machine.as_("shop").account(account_id).balances.held.minor_units == AMOUNT.minor_units


def test_keys_are_forgotten_when_their_retention_has_truly_passed(machine: Machine) -> None:
    account_id = _account(machine)
    key = fresh("draw")
    machine.as_("shop").authorize(account_id, AMOUNT, request_id=key, ttl_seconds=60)

    machine.set_ahead(-DAY, told=-DAY)
    machine.passes(73 * HOUR)
    machine.purges()
    machine.as_("shop").authorize(account_id, AMOUNT, request_id=key, ttl_seconds=60)

    assert len(list(machine.as_("shop").postings(account_id))) == 2


def test_an_hour_ahead_for_a_moment_ends_no_playbook_of_half_an_hour(machine: Machine) -> None:
    machine.as_("olga").activate("freeze_raises", ttl_seconds=1_800, reason="half an hour")

    machine.set_ahead(HOUR, told=HOUR)
    _account(machine)
    machine.set_ahead(timedelta(), told=timedelta())
    still = machine.in_force()
    machine.passes(timedelta(minutes=29))
    nearly = machine.in_force()
    machine.passes(timedelta(minutes=2))

    assert (still, nearly, machine.in_force()) == (["freeze_raises"], ["freeze_raises"], [])


def test_a_step_is_told_by_alert_metric_and_mode_and_its_end_as_well(machine: Machine) -> None:
    def metric() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{machine.port}/metrics", timeout=5) as response:
            page = str(response.read().decode())
        return next((line for line in page.splitlines() if line.startswith("holdline_clock_ahead_seconds{")), "")

    machine.set_ahead(DAY, told=DAY)
    wait_until(lambda: machine.alerts("clock_stepped") == 1, 10, "the step is told")
    wait_until(lambda: metric().endswith(" 86400.0"), 10, "the metric shows it")
    shown = invoked("mode", "--caller", "olga", server=machine.server)
    guided = invoked("clock", "show", "--caller", "olga", server=machine.server)
    machine.set_ahead(timedelta(), told=timedelta())
    machine.passes(timedelta(seconds=30))
    wait_until(lambda: machine.alerts("clock_right_again") == 1, 10, "the end is told")
    wait_until(lambda: metric().endswith(" 0.0"), 10, "the metric shows the end")

    assert "stepped to 1 day, 0:00:00 ahead" in shown.stdout
    assert "holdline clock confirm" in shown.stdout
    assert "stepped to 1 day, 0:00:00 ahead" in guided.stdout
    assert machine.alerts("clock_stepped") == 1
    assert "the machine's clock agrees" in invoked("clock", "show", "--caller", "olga", server=machine.server).stdout


def test_the_sentry_looks_by_the_stores_time(machine: Machine) -> None:
    machine.set_ahead(-DAY, told=-DAY)
    before = machine.now

    def looked() -> timedelta:
        return machine.as_("olga").signals().as_of.ToDatetime(tzinfo=UTC) - before

    wait_until(lambda: looked() > timedelta(), 20, "the sentry looked")

    assert looked() < SOON


def test_a_killed_engine_goes_on_from_the_time_that_passed_and_still_tells_of_the_step(machine: Machine) -> None:
    machine.as_("olga").activate("freeze_raises", ttl_seconds=1_800, reason="half an hour")
    machine.set_ahead(DAY, told=DAY)
    wait_until(lambda: machine.alerts("clock_stepped") == 1, 10, "the step is told")
    before = machine.now
    engine = machine.server.pids()["engine"]

    os.kill(engine, signal.SIGKILL)
    wait_until(lambda: machine.server.pids()["engine"] != engine, 30, "another engine serves")
    patient = machine.as_("olga")
    wait_until(lambda: _answers(patient), 30, "it answers")

    assert machine.ahead == DAY
    assert timedelta() <= machine.now - before < SOON
    assert machine.in_force() == ["freeze_raises"]
    machine.purges()
    assert machine.alerts("clock_stepped") == 1


def _answers(client: Client) -> bool:
    try:
        client.mode()
    except HoldlineError:
        return False
    return True


def test_a_person_confirms_what_he_saw_once_and_it_ages_no_key(machine: Machine) -> None:
    account_id = _account(machine)
    key, word = fresh("draw"), fresh("word")
    first = machine.as_("shop").authorize(account_id, AMOUNT, request_id=key)
    olga = machine.as_("olga")
    refused(lambda: olga.confirm_clock(1, reason="nothing stepped"), "CLOCK_NOT_CONFIRMED")
    machine.set_ahead(80 * HOUR, told=80 * HOUR)
    seen, before = olga.mode().clock.ahead_micros, machine.now

    refused(lambda: olga.confirm_clock(seen - 3_600_000_000, reason="another step"), "CLOCK_NOT_CONFIRMED")
    refused(lambda: olga.confirm_clock(0, reason="no step"), "INVALID_REQUEST")
    refused(lambda: olga.confirm_clock(seen, reason=""), "INVALID_REQUEST")
    for nobody in ("shop", "ada", "ann"):
        refused(lambda name=nobody: machine.as_(name).confirm_clock(seen, reason="r"), "ROLE_REQUIRED")  # type: ignore[misc]  # a default binds the name.
    done = olga.confirm_clock(seen, reason="restored from a backup", request_id=word)
    again = olga.confirm_clock(seen, reason="restored from a backup", request_id=word)
    refused(lambda: olga.confirm_clock(seen, reason="other words", request_id=word), "IDEMPOTENCY_KEY_REUSED")
    machine.purges()

    assert (done.replayed, again.replayed) == (False, True)
    assert 80 * HOUR <= machine.now - before < 80 * HOUR + SOON
    assert machine.ahead == timedelta()
    assert machine.alerts("clock_confirmed") == 1
    assert machine.as_("shop").authorize(account_id, AMOUNT, request_id=key) == first


def test_a_clock_confirmed_behind_is_waited_for_by_command_and_nothing_stands_still(machine: Machine) -> None:
    state = _held(machine, _account(machine), 60)
    machine.set_ahead(-HOUR, told=-HOUR)

    asked = invoked(
        "clock", "confirm", "--reason", "summer time", "--caller", "olga", server=machine.server, answers="n\n"
    )
    confirmed = invoked("clock", "confirm", "--reason", "r", "--yes", "--caller", "olga", server=machine.server)
    again = invoked("clock", "confirm", "--reason", "r", "--yes", "--caller", "olga", server=machine.server)
    before = machine.now
    machine._set["passed_ms"] += 150_000
    machine._write()
    wait_until(lambda: machine.now - before >= timedelta(seconds=75), 20, "time goes on, at half its speed")

    assert asked.returncode != 0
    assert "half as fast for the next 2:00:00" in asked.stdout
    assert "ahead of the confirmed clock" in confirmed.stdout
    assert "nothing is to be confirmed" in again.stdout
    assert "ahead of the confirmed clock" in invoked("mode", "--caller", "olga", server=machine.server).stdout
    assert state() == "EXPIRED"
