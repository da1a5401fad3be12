"""The composition root: settings in, wired processes out. Nothing else constructs.

`python -m service.bootstrap engine | gateway | sentry` is what the supervisor starts; orders come as one JSON line on
standard input, which stays open as the lifeline, and a report goes to standard output when the process is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import structlog

from playbooks import registry
from service import build, telemetry
from service.domain.decision import Criticality
from service.domain.playbook import Playbook
from service.domain.policy import Policy
from service.domain.policy_life import PolicyState
from service.domain.watch import EngineSeen
from service.engine.brake import Brake, BrakeLimit
from service.engine.control import Control
from service.engine.dead_man import DeadMan
from service.engine.desk import Desk, PolicyOrder
from service.engine.loop import Chore, Loop
from service.engine.playbook_desk import PlaybookDesk
from service.engine.ports import Answer, Calendar, Call, Codec, Ledger, Playbooks, PolicyReader, Store
from service.engine.process import Engine
from service.engine.reports import ReportDesk, Tally
from service.settings import Settings

if TYPE_CHECKING:
    from service.rpc.sentry import Asks
    from service.sentry.delivery import Deliverer
    from service.sentry.process import Sentry

REFERENCE_POLICIES: Final = ("reference-2026-1", "instalment-2026-1")
BOOTSTRAP_CALLER: Final = "holdline"
ENGINE_REPORT_SECONDS: Final = 5.0
PURGE_SECONDS: Final = 1.0
SENTRY_TURN_SECONDS: Final = 0.2
SENTRY_CALLS_MAX: Final = 16
CODE: Final = {
    "engine": ("service.policies.compiler", "service.rpc.codec", "service.storage.sqlite"),
    "gateway": ("uvloop", "service.gateway.server"),
    "sentry": ("service.policies.compiler", "service.rpc.sentry", "service.sentry.process", "service.storage.sqlite"),
}
"""What takes long to load in each process; loaded before its orders come, so that processes load side by side."""
_EPOCH: Final = date(1970, 1, 1)

log = structlog.get_logger("holdline")


def now_us() -> int:
    """Give now in microseconds since the epoch UTC: the clock of a store on this machine."""
    return time.time_ns() // 1_000


class ZoneCalendar:
    """Business days of one time zone."""

    def __init__(self, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)

    def business_day(self, now_us: int) -> int:
        """Give the calendar day of a time in the business time zone, as days since 1970-01-01."""
        return (datetime.fromtimestamp(now_us // 1_000_000, UTC).astimezone(self._zone).date() - _EPOCH).days


def read_policy(document: str) -> tuple[Policy, str]:
    """Compile a policy document; raises InvalidRequest with every violation.

    The texts of playbooks' reasons join the policy's own, so that every outcome in every mode has its texts.
    """
    from service.policies import compiler

    compiled = compiler.compile_text(document)
    policy = compiled.policy
    return replace(policy, texts={**registry.load().texts(), **policy.texts}), compiled.content_hash


def store_path(store: str) -> Path:
    """Give the file that a store setting names."""
    return Path(store.removeprefix("sqlite:///"))


@contextlib.contextmanager
def open_ledger(store: str) -> Iterator[Ledger]:
    """Open a store to read it from end to end, beside a running server or without one."""
    from service.storage.sqlite import SqliteStore

    ledger = SqliteStore(store_path(store), now_us, read_only=True)
    try:
        ledger.hold_still()
        yield ledger
    finally:
        ledger.close()


def copy_store(store: str, path: Path) -> None:
    """Copy a store into a new file, beside a running server or without one."""
    from service.storage.sqlite import SqliteStore

    source = SqliteStore(store_path(store), now_us, read_only=True)
    try:
        source.copy_to(path)
    finally:
        source.close()


def seed_policies(desk: Desk) -> None:
    """Publish and promote the reference policies in a store that has no policy yet."""
    if desk.policy_records(""):
        return
    for version in REFERENCE_POLICIES:
        document = resources.files("service.policies").joinpath(f"{version}.yaml").read_text(encoding="utf-8")
        for action in ("publish", "promote"):
            key = f"{BOOTSTRAP_CALLER}/{action}-{version}"
            changed = desk.change(
                PolicyOrder(
                    action, key, version.encode(), BOOTSTRAP_CALLER, version=version, document=document,
                    reason="a new store starts with the reference policies",
                )
            )  # fmt: skip
        assert changed.record.state is PolicyState.ACTIVE


class Parts(NamedTuple):
    """What decides over one store, wired."""

    control: Control
    calendar: Calendar
    desk: Desk
    playbooks: PlaybookDesk
    codec: Codec
    brake: Brake
    tally: Tally
    dead_man: DeadMan


def make_parts(store: Store, settings: Settings, reader: PolicyReader) -> Parts:
    """Wire what decides over a store, with the reference policies where the store is new."""
    from service.rpc.codec import ProtoCodec

    playbooks = registry.load()
    control = Control(reader, playbooks)
    calendar = ZoneCalendar(settings.business_time_zone)
    desk = Desk(store, control, calendar, reader)
    seed_policies(desk)
    playbook_desk = PlaybookDesk(store, control)
    tally = Tally()
    dead_man = make_dead_man(settings, playbooks)
    codec = ProtoCodec(desk, playbook_desk, ReportDesk(store, control, playbook_desk, tally, dead_man))
    return Parts(control, calendar, desk, playbook_desk, codec, make_brake(settings, playbooks), tally, dead_man)


def make_engine(store: Store, settings: Settings, meters: telemetry.EngineMeters) -> Engine:
    """Wire an engine over a store."""
    parts = make_parts(store, settings, read_policy)
    return Engine(
        store, parts.control, parts.calendar, parts.codec, meters, settings.commands_per_commit_max, parts.brake,
        parts.tally, parts.dead_man,
    )  # fmt: skip


def make_sentry(store: Store, line: Asks, settings: Settings, clock: Callable[[], int]) -> tuple[Sentry, Deliverer]:
    """Wire a sentry over a store, and the deliverer of its alerts, which is not started."""
    from service.rpc.sentry import EngineCalls
    from service.sentry.delivery import Deliverer
    from service.sentry.guards import Guards
    from service.sentry.process import Sentry

    deliverer = Deliverer(settings.alert_webhook, settings.alert_secret, settings.alert_attempts_max, clock)
    calls = EngineCalls(line, settings.guard_ttl_seconds)
    return Sentry(store, calls, Guards(settings.guard_playbooks), deliverer, settings.guard_decisions), deliverer


def make_control() -> Control:
    """Make what gives policies and modes, live or recorded."""
    return Control(read_policy, registry.load())


def make_brake(settings: Settings, playbooks: Playbooks) -> Brake:
    """Make the brake on exposure growth; without limits it lets everything pass."""
    limits = {currency: BrakeLimit(*bounds) for currency, bounds in settings.brake_limits.items()}
    return Brake(limits, playbooks.find("freeze_raises"), settings.brake_ttl_seconds)


def make_dead_man(settings: Settings, playbooks: Playbooks) -> DeadMan:
    """Make the switch that acts when the guards fall silent."""
    safe_mode: Playbook | None = playbooks.find(settings.dead_man_playbook) if settings.dead_man_playbook else None
    now_us = time.monotonic_ns() // 1_000
    return DeadMan(settings.dead_man_seconds * 1_000_000, safe_mode, settings.guard_ttl_seconds, now_us)


def engine_seen(engine_id: str) -> EngineSeen:
    """Give what this engine is made of."""
    return EngineSeen(engine_id, *build.this(registry.load().content_hash), 0)


def run_engine(orders: dict[str, Any]) -> int:
    """Run the engine process until SIGTERM or until the supervisor is gone."""
    from service.storage.checkpointer import Checkpointer
    from service.storage.sqlite import SqliteStore, StoreRefused

    settings = Settings.model_validate(orders["settings"])
    listener = telemetry.start_logs(settings.log_level)
    meter = telemetry.start_metrics("engine", settings.metrics_port, settings.otlp_endpoint)
    try:
        store = SqliteStore(store_path(settings.store), now_us)
    except StoreRefused as error:
        log.error("store refused", why=str(error))
        listener.stop()
        return 1
    checkpointer = Checkpointer(store_path(settings.store), store.log_is_long)
    checkpointer.start()
    with listening(orders["socket"]) as server:
        engine = make_engine(store, settings, telemetry.engine_meters(meter))
        loop = Loop(engine, server, sys.stdin.fileno())
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        # Our records hold no cycles.
        spare_the_collector(50_000)
        report({})
        retention_us = settings.key_retention_hours * 3_600_000_000
        seen = engine_seen(f"{socket.gethostname()}-{os.getpid()}")
        purge_max = settings.purge_keys_max
        loop.run(
            [
                Chore(ENGINE_REPORT_SECONDS, lambda: engine.report_in(seen)),
                Chore(PURGE_SECONDS, lambda: engine.purge(now_us() - retention_us, purge_max) == purge_max),
            ]
        )
    checkpointer.stop()
    store.checkpoint()
    store.close()
    listener.stop()
    return 0


def run_gateway(orders: dict[str, Any]) -> int:
    """Run a gateway process until SIGTERM or until the supervisor is gone."""
    import uvloop

    settings = Settings.model_validate(orders["settings"])
    listener = telemetry.start_logs(settings.log_level)
    uvloop.run(_serve(settings, orders["socket"], orders["number"]))
    listener.stop()
    return 0


def sentry_path(engine_path: str) -> str:
    """Give the sentry's socket, beside the engine's."""
    return f"{engine_path}-sentry"


def run_sentry(orders: dict[str, Any]) -> int:
    """Run the sentry process until SIGTERM or until the supervisor is gone."""
    from service.rpc.sentry import SentryCodec
    from service.sentry.line import Line
    from service.sentry.process import Answerer
    from service.storage.sqlite import SqliteStore, StoreRefused

    settings = Settings.model_validate(orders["settings"])
    listener = telemetry.start_logs(settings.log_level)
    try:
        store = SqliteStore(store_path(settings.store), now_us, read_only=True)
    except StoreRefused as error:
        log.error("store refused", why=str(error))
        listener.stop()
        return 1
    line = Line(orders["socket"])
    sentry, deliverer = make_sentry(store, line, settings, now_us)
    deliverer.start()
    with listening(sentry_path(orders["socket"])) as server:
        loop = Loop(Answerer(SentryCodec(store, make_control(), sentry)), server, sys.stdin.fileno())
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        # Looks and previews make many records and no cycles.
        spare_the_collector(50_000)
        report({})
        loop.run([Chore(SENTRY_TURN_SECONDS, sentry.turn)])
    deliverer.stop()
    line.close()
    store.close()
    listener.stop()
    return 0


@contextlib.contextmanager
def listening(path: str) -> Iterator[socket.socket]:
    """Listen on a local socket."""
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        yield server


async def _serve(settings: Settings, path: str, number: int) -> None:
    from service.gateway import roles
    from service.gateway.admission import Queue
    from service.gateway.link import Link
    from service.gateway.mode_watch import ModeWatch
    from service.gateway.server import Gateway
    from service.rpc.contract import SERVICE_NAMES
    from service.rpc.methods import GLANCE

    port = settings.metrics_port and settings.metrics_port + 1 + number
    meters = telemetry.gateway_meters(telemetry.start_metrics("gateway", port, settings.otlp_endpoint))
    traces = telemetry.start_traces("gateway", settings.otlp_endpoint)
    gateway = Gateway(settings, meters, traces, roles.read(settings.roles_file))
    server = gateway.server(SERVICE_NAMES)
    queue = Queue(settings.queue_calls_max, settings.queue_bytes_max, settings.queue_wait_ms_max)
    link = gateway.link = Link(
        path, queue, settings.batch_calls_max, settings.frames_in_flight, meters,
        lambda is_there: gateway.engine_changed(is_there=is_there),
    )  # fmt: skip
    # Previews take long and are few: each waits for the one before, none waits with decisions.
    slow = Queue(SENTRY_CALLS_MAX, settings.queue_bytes_max, settings.deadline_ms_default)
    unmeasured = telemetry.gateway_meters(None)
    gateway.sentry_link = Link(sentry_path(path), slow, 1, 1, unmeasured, lambda _: None)

    # The gateway's own looks at the mode take no caller's place in the queue.
    own = Link(path, Queue(1, settings.queue_bytes_max, settings.deadline_ms_default), 1, 1, unmeasured, lambda _: None)

    async def look(body: bytes) -> Answer:
        deadline_us = time.monotonic_ns() // 1_000 + settings.deadline_ms_default * 1_000
        return await own.submit(Call(GLANCE, BOOTSTRAP_CALLER, deadline_us, "", body), Criticality.INTERACTIVE)

    gateway.mode_watch = ModeWatch(settings.mode_poll_ms, settings.watchers_max, look)
    keepers = [
        asyncio.ensure_future(keeps)
        for keeps in (
            link.keep_connected(), own.keep_connected(), gateway.sentry_link.keep_connected(),
            gateway.mode_watch.keep_looking(),
        )
    ]  # fmt: skip
    bound = server.add_insecure_port(settings.listen)
    await server.start()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_signal_handler(signal.SIGINT, over.set)
    loop.add_reader(sys.stdin.fileno(), over.set)
    # grpc.aio leaves cycles behind each call; seldom collections would be long ones.
    spare_the_collector(2_000)
    report({"port": bound})
    await over.wait()
    loop.remove_reader(sys.stdin.fileno())
    await gateway.drain(server)
    for keeper in keepers:
        keeper.cancel()


def spare_the_collector(threshold: int) -> None:
    """Let the cyclic collector pass over what start-up made, and run each so many new objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, 20, 100)


def report(content: dict[str, int]) -> None:
    """Tell the supervisor that this process is ready."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the role that the command line names."""
    # The supervisor blocks signals to wait for them, and children inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
    assert_fast_protobuf()
    for module in CODE[sys.argv[1]]:
        importlib.import_module(module)
    orders = json.loads(sys.stdin.readline())
    return {"engine": run_engine, "gateway": run_gateway, "sentry": run_sentry}[sys.argv[1]](orders)


def assert_fast_protobuf() -> None:
    """Refuse the pure-Python protobuf, which is twenty times slower."""
    from google.protobuf.internal import api_implementation

    kind = api_implementation.Type()
    if kind != "upb":
        raise SystemExit(f"protobuf runs as {kind}; install the wheel with upb")


if __name__ == "__main__":
    raise SystemExit(main())
