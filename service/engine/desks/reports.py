"""What the sentry reports to the engine, and what it hears back; the engine is the store's only writer.

Promises that deliveries, alarms, lapses and baselines are durable when the report is answered. Frames of one build,
never stored.
"""

import time
from typing import Final, NamedTuple

import msgspec

from service.domain.activation import ActivationState, state_of
from service.domain.errors import HoldlineError
from service.domain.watch import Baseline, MessageState
from service.engine import once
from service.engine.control import Control
from service.engine.desks.playbooks import ActivationOrder, PlaybookDesk
from service.engine.execute import transaction
from service.engine.ports.store import Store
from service.engine.safety import alerts
from service.engine.safety.dead_man import DeadMan

CALLER: Final = "holdline:sentry"


class Delivery(NamedTuple):
    """What became of a message: its next attempt (microseconds UTC) and how many were made."""

    sequence: int
    due_us: int
    attempts: int
    state: MessageState


class Alarm(NamedTuple):
    """A guard's alarm, to be told."""

    what: str
    severity: str
    facts: dict[str, str | int]


class Report(NamedTuple):
    """What the sentry has seen and done since its last report."""

    watermark: int
    """Number of the newest decision that the guards have seen."""
    deliveries: tuple[Delivery, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    lapsed: tuple[int, ...] = ()
    baseline: Baseline | None = None


class Pulse(NamedTuple):
    """How the engine has done since it started: answers given, failures among them, commits and their time."""

    answers: int
    failures: int
    commits: int
    commit_us: int
    baseline_version: int = 0
    baseline_replayed: bool = False
    """The baseline's key stood for one already, whose version this is."""


class Tally:
    """Counts that the engine keeps for the guards."""

    def __init__(self) -> None:
        self.answers = self.failures = self.commits = self.commit_us = 0

    def add(self, answers: int, failures: int, seconds: float) -> None:
        """Count one transaction."""
        self.answers += answers
        self.failures += failures
        self.commits += 1
        self.commit_us += int(seconds * 1e6)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_report: Final = msgspec.msgpack.Decoder(Report).decode
_decode_pulse: Final = msgspec.msgpack.Decoder(Pulse).decode


def report_bytes(report: Report) -> bytes:
    """Write a report."""
    return _encode(report)


def pulse(body: bytes) -> Pulse:
    """Read a pulse."""
    return _decode_pulse(body)


class ReportDesk:
    """Takes the sentry's reports."""

    def __init__(self, store: Store, control: Control, desk: PlaybookDesk, tally: Tally, dead_man: DeadMan) -> None:
        self._store = store
        self._control = control
        self._desk = desk
        self._tally = tally
        self._dead_man = dead_man

    def answer(self, body: bytes) -> bytes:
        """Take a report and give the pulse, both as bytes; raises StoreUnavailable or IdempotencyKeyReused."""
        return _encode(self.take(_decode_report(body)))

    def take(self, report: Report) -> Pulse:
        """Take a report and give the pulse."""
        row = self._store.control()
        self._dead_man.heard(report.watermark, row.last_number, time.monotonic_ns() // 1_000)
        version, is_replayed = 0, False
        if report.deliveries or report.alarms or report.baseline:
            with transaction(self._store, self._control) as row:
                version, is_replayed = self._write(report, row.now_us)
        for number in report.lapsed:
            self._lapse(number, row.now_us)
        tally = self._tally
        return Pulse(tally.answers, tally.failures, tally.commits, tally.commit_us, version, is_replayed)

    def _write(self, report: Report, now_us: int) -> tuple[int, bool]:
        """Enter a report; gives the version of its baseline (0: it has none), and whether that was kept before."""
        store, outbox = self._store.playbooks, self._store.outbox
        for delivery in report.deliveries:
            outbox.update(*delivery)
        for alarm in report.alarms:
            alerts.send(outbox, alarm.severity, alarm.what, now_us, **alarm.facts)
        baseline = report.baseline
        if baseline is None:
            return 0, False
        if baseline.key:
            found = once.taken(self._store, baseline, store.baseline, now_us)
            if found is not None:
                return found.version, True
        store.keep_baseline(baseline._replace(learned_us=now_us))
        return max(one.version for one in store.baselines()), False

    def _lapse(self, number: int, now_us: int) -> None:
        """Write down that an activation lapsed, once; decisions have long ceased to obey it."""
        activation = self._desk.activation(number)
        if state_of(activation, now_us) is not ActivationState.LAPSED:
            return
        order = ActivationOrder(
            "lapse", f"{CALLER}/lapse-{activation.number}", b"lapse", CALLER, "its time was over", number
        )
        try:
            self._desk.change(order)
        except HoldlineError as error:
            if error.reason != "IDEMPOTENCY_KEY_REUSED":
                raise
