"""The processes: engine, gateway and sentry, as the supervisor starts them.

Each takes its orders as one JSON line on standard input, which stays open as the lifeline, and reports on standard
output when it is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from service import bootstrap, telemetry
from service.domain.decision import Criticality
from service.engine.beside import Answerer
from service.engine.loop import Chore, Loop
from service.engine.ports.codec import Answer, Call
from service.engine.ports.ledger import Unreadable
from service.exit_codes import NOT_HERE
from service.settings import Settings
from service.storage import opening

if TYPE_CHECKING:
    from service.storage.sqlite.store import SqliteStore

ENGINE_REPORT_SECONDS: Final = 5.0
GARBAGE_MAX: Final = 50_000
"""New objects after which the collector looks, in processes whose records hold no cycles."""
CLOCK_SECONDS: Final = 0.5
PURGE_SECONDS: Final = 1.0
SENTRY_NICENESS: Final = 10
SENTRY_CALLS_MAX: Final = 16
READER_NICENESS: Final = 5
PREPARE_SECONDS: Final = 1.0
READS_WAIT_MS_MAX: Final = 60_000
"""A read waits as long as its caller does, but no longer than this; nobody else waits with it."""
WORKER_IDLE_SECONDS: Final = 0.5
PLACE_SECONDS: Final = 0.2
"""So often the engine looks whether its files still stand where they were, when no commit does."""
LOST_SECONDS: Final = 2.0
"""So long an engine whose files were taken away tells its callers so before it ends."""
CODE: Final = {
    "engine": ("service.policies.compiler", "service.rpc.codec", "service.storage.sqlite.store"),
    "reader": ("service.policies.compiler", "service.rpc.codec", "service.storage.sqlite.store"),
    "gateway": ("uvloop", "service.gateway.server"),
    "worker": ("service.policies.compiler", "service.runner.worker", "service.storage.sqlite.store"),
    "sentry": (
        "service.policies.compiler",
        "service.rpc.sentry",
        "service.sentry.process",
        "service.storage.sqlite.store",
    ),
}
"""What takes long to load in each process; loaded before its orders come, so that processes load side by side."""

log = structlog.get_logger("holdline")


def run_engine(orders: dict[str, Any]) -> int:
    """Run the engine process until SIGTERM or until the supervisor is gone."""
    from service.storage.sqlite import moving
    from service.storage.sqlite.checkpointer import Checkpointer

    settings = Settings.model_validate(orders["settings"])
    listener = telemetry.start_logs(settings.log_level)
    meter = telemetry.start_metrics("engine", settings.metrics_port, settings.otlp_endpoint)
    store = opened_store(settings, is_writer=True)
    if store is None:
        listener.stop()
        return NOT_HERE
    checkpointer = Checkpointer(opening.path_of(settings.store), store.log_is_long)
    checkpointer.start()
    place = Place(store)
    with listening(orders["socket"]) as server:
        policies = bootstrap.handed_over(policies_folder(orders["socket"]), gives=False)
        try:
            engine = bootstrap.make_engine(
                store, settings, telemetry.engine_meters(meter), bootstrap.read_clocks, policies
            )
        except Unreadable as error:
            log.error("store refused", why=f"{error}; holdline verify says where")
            listener.stop()
            return NOT_HERE
        # What a restart has to go on from is durable before the first answer.
        engine.mind_clock()
        loop = Loop(engine, server, sys.stdin.fileno())
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        # Our records hold no cycles.
        spare_the_collector(GARBAGE_MAX)
        report({})
        retention_us = settings.key_retention_hours * 3_600_000_000
        seen = bootstrap.engine_seen(f"{socket.gethostname()}-{os.getpid()}")
        purge_max = settings.purge_keys_max
        forgets = bootstrap.outbox_forgets(settings)
        loop.run(
            [
                Chore(ENGINE_REPORT_SECONDS, lambda: engine.report_in(seen)),
                Chore(CLOCK_SECONDS, engine.mind_clock),
                Chore(PURGE_SECONDS, lambda: engine.purge(retention_us, purge_max) == purge_max),
                Chore(PURGE_SECONDS, lambda: engine.purge_outbox(forgets, purge_max)),
                Chore(PLACE_SECONDS, lambda: place.watch(loop)),
                *([Chore(moving.SECONDS, lambda: moving.moved_on(store))] if store.is_left_to_move else []),
            ]
        )
    checkpointer.stop()
    code = 0 if place.is_kept() else NOT_HERE
    store.close()
    listener.stop()
    return code


class Place:
    """Whether an engine's files still stand where they were opened."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._lost_at = 0.0

    def watch(self, loop: Loop) -> bool:
        """Look, and end the loop some time after they don't; claims no more to do."""
        if not self.is_kept() and time.monotonic() > self._lost_at + LOST_SECONDS:
            loop.stop()
        return False

    def is_kept(self) -> bool:
        """Look, and save what was acknowledged as soon as they don't."""
        if not self._lost_at and not self._store.is_in_place():
            self._lost_at = time.monotonic()
            log.critical("store taken away", what=self._store.rescue())
        return not self._lost_at


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
    from service.engine.line import Line
    from service.rpc.sentry import SentryCodec
    from service.sentry.process import TURN_SECONDS

    settings = Settings.model_validate(orders["settings"])
    listener = telemetry.start_logs(settings.log_level)
    store = opened_store(settings, is_writer=False)
    if store is None:
        listener.stop()
        return 1
    line = Line(orders["socket"])
    port = settings.metrics_port and settings.metrics_port + 1 + settings.gateways
    meters = telemetry.sentry_meters(telemetry.start_metrics("sentry", port, settings.otlp_endpoint))
    clock = bootstrap.follow_clock(store)
    sentry, deliverers = bootstrap.make_sentry(store, line, settings, clock.now_us, meters)
    for deliverer in deliverers:
        deliverer.start()
    with listening(sentry_path(orders["socket"])) as server:
        loop = Loop(Answerer(SentryCodec(store, bootstrap.make_control(), sentry)), server, sys.stdin.fileno())
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        # Decisions come first where cores are short.
        os.nice(SENTRY_NICENESS)
        # Looks and previews make many records and no cycles.
        spare_the_collector(GARBAGE_MAX)
        report({})
        loop.run([Chore(CLOCK_SECONDS, clock.look), Chore(TURN_SECONDS, sentry.turn)])
    for deliverer in deliverers:
        deliverer.stop()
    line.close()
    store.close()
    listener.stop()
    return 0


def reader_path(engine_path: str) -> str:
    """Give the reader's socket, beside the engine's."""
    return f"{engine_path}-reader"


def policies_folder(engine_path: str) -> Path:
    """Give where the reader lays what it compiled for the engine, beside the sockets."""
    return Path(engine_path).with_name("policies")


def run_reader(orders: dict[str, Any]) -> int:
    """Run the reader process until SIGTERM or until the supervisor is gone."""
    settings = Settings.model_validate(orders["settings"])
    listener = telemetry.start_logs(settings.log_level)
    store = opened_store(settings, is_writer=False)
    if store is None:
        listener.stop()
        return 1
    with listening(reader_path(orders["socket"])) as server:
        policies = bootstrap.handed_over(policies_folder(orders["socket"]), gives=True)
        codec, preparation = bootstrap.make_reader(store, settings, policies)
        loop = Loop(Answerer(codec), server, sys.stdin.fileno())
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        # Decisions come first where cores are short.
        os.nice(READER_NICENESS)
        spare_the_collector(GARBAGE_MAX)
        report({})
        loop.run([Chore(PREPARE_SECONDS, preparation.step)])
    store.close()
    listener.stop()
    return 0


def run_worker(orders: dict[str, Any]) -> int:
    """Run a worker of the daily run until SIGTERM or until the supervisor is gone."""
    from service.engine.line import Line

    settings = Settings.model_validate(orders["settings"])
    listener = telemetry.start_logs(settings.log_level)
    store = opened_store(settings, is_writer=False)
    if store is None:
        listener.stop()
        return 1
    line = Line(orders["socket"])
    clock = bootstrap.follow_clock(store)
    worker = bootstrap.make_worker(store, line, settings, f"{socket.gethostname()}-{os.getpid()}")
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    os.nice(SENTRY_NICENESS)
    spare_the_collector(GARBAGE_MAX)
    report({})
    while not over.is_set():
        clock.look()
        rest_seconds = worker.turn()
        # The lifeline to the supervisor becomes readable when it is gone.
        if select.select([sys.stdin], [], [], WORKER_IDLE_SECONDS if rest_seconds < 0 else rest_seconds)[0]:
            break
    line.close()
    store.close()
    listener.stop()
    return 0


def opened_store(settings: Settings, *, is_writer: bool) -> SqliteStore | None:
    """Open the store that the settings name; one that refuses says why in the log."""
    from service.domain.errors import StoreUnavailable
    from service.storage.sqlite.migrate import StoreRefused

    try:
        return opening.open_store(settings.store, bootstrap.now_us, read_only=not is_writer)
    except (StoreRefused, StoreUnavailable, OSError) as error:
        log.error("store refused", why=str(error))
        return None


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
    from service.gateway.turns import FairQueue
    from service.rpc.contract import SERVICE_NAMES
    from service.rpc.methods import GLANCE

    port = settings.metrics_port and settings.metrics_port + 1 + number
    meters = telemetry.gateway_meters(telemetry.start_metrics("gateway", port, settings.otlp_endpoint))
    traces = telemetry.start_traces("gateway", settings.otlp_endpoint)
    gateway = Gateway(settings, meters, traces, roles.read(settings.roles_file))
    server = gateway.server(SERVICE_NAMES)
    queue = Queue(
        settings.queue_calls_max, settings.queue_bytes_max, settings.queue_wait_ms_max, settings.queue_wait_ms_target
    )
    link = gateway.link = Link(
        path, queue, settings.batch_calls_max, settings.frames_in_flight, meters,
        lambda is_there: gateway.engine_changed(is_there=is_there),
    )  # fmt: skip
    # Previews take long and are few: callers take turns, none waits with decisions.
    slow = FairQueue(SENTRY_CALLS_MAX, settings.queue_bytes_max, settings.deadline_ms_default)
    unmeasured = telemetry.gateway_meters(None)
    gateway.sentry_link = Link(sentry_path(path), slow, 1, 1, unmeasured, lambda _: None)

    # Reads are answered one by one, callers in turns: whoever reads much waits for himself.
    reads = FairQueue(settings.queue_calls_max, settings.queue_bytes_max, READS_WAIT_MS_MAX)
    gateway.reader_link = Link(reader_path(path), reads, 1, 1, unmeasured, lambda _: None)

    # The gateway's own looks at the mode take no caller's place in the queue.
    own = Link(path, Queue(1, settings.queue_bytes_max, settings.deadline_ms_default), 1, 1, unmeasured, lambda _: None)

    async def look(body: bytes) -> Answer:
        deadline_us = time.monotonic_ns() // 1_000 + settings.deadline_ms_default * 1_000
        return await own.submit(Call(GLANCE, bootstrap.CALLER, deadline_us, "", body), Criticality.INTERACTIVE)

    gateway.mode_watch = ModeWatch(settings.mode_poll_ms, look)
    keepers = [
        asyncio.ensure_future(keeps)
        for keeps in (
            link.keep_connected(), link.watch_lag(), own.keep_connected(), gateway.sentry_link.keep_connected(),
            gateway.reader_link.keep_connected(),
            gateway.mode_watch.keep_looking(), gateway.messages.keep_looking(),
        )
    ]  # fmt: skip
    try:
        bound = server.add_insecure_port(settings.listen)
    except RuntimeError as error:
        log.error("can't listen", listen=settings.listen, why=str(error))
        return
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


def load(role: str) -> None:
    """Load the code of a role."""
    bootstrap.assert_fast_protobuf()
    for module in CODE[role]:
        importlib.import_module(module)


def main(role: str) -> int:
    """Run a role; whatever it writes is its owner's."""
    os.umask(0o077)
    # The supervisor blocks signals to wait for them, and children inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
    load(role)
    line = sys.stdin.readline()
    if not line:
        # A spare that was never needed: its supervisor is gone.
        return 0
    orders = json.loads(line)
    roles = {
        "engine": run_engine,
        "gateway": run_gateway,
        "reader": run_reader,
        "sentry": run_sentry,
        "worker": run_worker,
    }
    code = roles[role](orders)
    if select.select([sys.stdin], [], [], 0)[0]:
        # The supervisor is gone and can't remove the sockets' folder; whoever comes later finds it gone.
        shutil.rmtree(Path(orders["socket"]).parent, ignore_errors=True)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
