"""The composition root: settings in, wired processes out. Nothing else constructs.

`python -m service.bootstrap engine | gateway` is what the supervisor starts; orders come as one JSON line on standard
input, which stays open as the lifeline, and a report goes to standard output when the process is ready.
"""

import asyncio
import contextlib
import gc
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog

from service import telemetry
from service.domain.policy import Policy
from service.domain.policy_life import PolicyState
from service.engine.control import Control
from service.engine.desk import Desk, PolicyOrder
from service.engine.ports import Ledger, Store
from service.engine.process import Engine, Loop
from service.policies import compiler
from service.settings import Settings

REFERENCE_POLICIES: Final = ("reference-2026-1", "instalment-2026-1")
BOOTSTRAP_CALLER: Final = "holdline"
_EPOCH: Final = date(1970, 1, 1)

log = structlog.get_logger("holdline")


class SystemClock:
    """The machine's clock, with business days of one time zone."""

    def __init__(self, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)

    def now_us(self) -> int:
        """Give now in microseconds since the epoch UTC."""
        return time.time_ns() // 1_000

    def business_day(self, now_us: int) -> int:
        """Give the calendar day of a time in the business time zone, as days since 1970-01-01."""
        return (datetime.fromtimestamp(now_us // 1_000_000, UTC).astimezone(self._zone).date() - _EPOCH).days


def read_policy(document: str) -> tuple[Policy, str]:
    """Compile a policy document; raises InvalidRequest with every violation."""
    compiled = compiler.compile_text(document)
    return compiled.policy, compiled.content_hash


def store_path(store: str) -> Path:
    """Give the file that a store setting names."""
    return Path(store.removeprefix("sqlite:///"))


@contextlib.contextmanager
def open_ledger(store: str) -> Iterator[Ledger]:
    """Open a store to read it from end to end, beside a running server or without one."""
    from service.storage.sqlite import SqliteStore

    ledger = SqliteStore(store_path(store), read_only=True)
    try:
        yield ledger
    finally:
        ledger.close()


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


def make_engine(store: Store, settings: Settings, meters: telemetry.EngineMeters) -> Engine:
    """Wire an engine over a store, with the reference policies where the store is new."""
    from service.rpc.codec import ProtoCodec

    control = Control(read_policy)
    clock = SystemClock(settings.business_time_zone)
    desk = Desk(store, control, clock, read_policy)
    seed_policies(desk)
    return Engine(store, control, clock, ProtoCodec(desk), meters, settings.commands_per_commit_max)


def run_engine(orders: dict[str, Any]) -> int:
    """Run the engine process until SIGTERM or until the supervisor is gone."""
    from service.storage.checkpointer import Checkpointer
    from service.storage.sqlite import SqliteStore, StoreRefused

    settings = Settings.model_validate(orders["settings"])
    listener = telemetry.start_logs(settings.log_level)
    meter = telemetry.start_metrics("engine", settings.metrics_port, settings.otlp_endpoint)
    try:
        store = SqliteStore(store_path(settings.store))
    except StoreRefused as error:
        log.error("store refused", why=str(error))
        listener.stop()
        return 1
    checkpointer = Checkpointer(store_path(settings.store), store.log_is_long)
    checkpointer.start()
    path = orders["socket"]
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        loop = Loop(make_engine(store, settings, telemetry.engine_meters(meter)), server, sys.stdin.fileno())
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        # Our records hold no cycles.
        spare_the_collector(50_000)
        report({})
        retention_us = settings.key_retention_hours * 3_600_000_000
        loop.run(lambda: time.time_ns() // 1_000 - retention_us, settings.purge_keys_max)
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


async def _serve(settings: Settings, path: str, number: int) -> None:
    from service.gateway.admission import Queue
    from service.gateway.link import Link
    from service.gateway.server import Gateway
    from service.rpc.contract import SERVICE_NAMES

    port = settings.metrics_port and settings.metrics_port + 1 + number
    meters = telemetry.gateway_meters(telemetry.start_metrics("gateway", port, settings.otlp_endpoint))
    gateway = Gateway(settings, meters, telemetry.start_traces("gateway", settings.otlp_endpoint))
    server = gateway.server(SERVICE_NAMES)
    queue = Queue(settings.queue_calls_max, settings.queue_bytes_max, settings.queue_wait_ms_max)
    gateway.link = Link(
        path, queue, settings.batch_calls_max, settings.frames_in_flight, meters,
        lambda is_there: gateway.engine_changed(is_there=is_there),
    )  # fmt: skip
    keeper = asyncio.ensure_future(gateway.link.keep_connected())
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
    orders = json.loads(sys.stdin.readline())
    return run_engine(orders) if sys.argv[1] == "engine" else run_gateway(orders)


def assert_fast_protobuf() -> None:
    """Refuse the pure-Python protobuf, which is twenty times slower."""
    from google.protobuf.internal import api_implementation

    kind = api_implementation.Type()
    if kind != "upb":
        raise SystemExit(f"protobuf runs as {kind}; install the wheel with upb")


if __name__ == "__main__":
    raise SystemExit(main())
