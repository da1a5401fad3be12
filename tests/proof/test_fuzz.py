"""A flood of random bodies (RELIABILITY, case 21): no crash, no hang, no INTERNAL, bounded memory, an intact store."""

import gc
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from service import bootstrap, telemetry
from service.domain.decision import Criticality
from service.drill.stage import DirectLine
from service.engine.beside import Answerer
from service.engine.ports.codec import Answer, Call
from service.engine.replay import replay
from service.local_server import running_server
from service.rpc.methods import METHODS, Method, Shape
from service.rpc.sentry import SentryCodec
from service.storage.sqlite.store import SqliteStore
from service.storage.verify import verify
from tests.builders import StillClock, settings
from tests.proof.fuzzing import Fuzzer, requests_of
from tests.stated import is_named

TOGETHER = 200
SPAN_US = 60_000_000
"""Between two frames: 250,000 bodies take 21 hours of the store's time, so that holds expire and modes lapse."""
CRITICALITIES = tuple(int(one) for one in Criticality)
MEMORY_GROWTH_MB_MAX = 64
BUGS = {grpc.StatusCode.INTERNAL.value[0], grpc.StatusCode.UNKNOWN.value[0]}
ALLOWED = {code.value[0] for code in grpc.StatusCode} - BUGS


class Service:
    """Engine and sentry of one process over one store."""

    def __init__(self, path: Path) -> None:
        self.clock = StillClock()
        self.store = SqliteStore(path, self.clock.now_us)
        chosen = settings(commands_per_commit_max=1_000)
        parts = bootstrap.make_parts(self.store, chosen, bootstrap.read_policy)
        bootstrap.seed_policies(parts.policies)
        self.engine = bootstrap.make_engine(self.store, chosen, telemetry.engine_meters(None))
        line, meters = DirectLine(parts.codec), telemetry.sentry_meters(None)
        sentry, _ = bootstrap.make_sentry(self.store, line, chosen, self.clock.now_us, meters)
        self.sentry = Answerer(SentryCodec(self.store, bootstrap.make_control(), sentry))

    def answers(self, calls: list[Call]) -> Iterator[tuple[Call, Answer]]:
        """Answer calls as the gateway would have them answered."""
        self.clock.time_us += SPAN_US
        now_us = time.monotonic_ns() // 1_000
        for answerer, is_sentrys in ((self.engine, False), (self.sentry, True)):
            own = [call for call in calls if (METHODS[call.method].shape is Shape.SENTRY) is is_sentrys]
            found = dict(answerer.answers(own, now_us))
            assert len(found) == len(own)
            yield from ((own[position], answer) for position, answer in found.items())


def _resident_mb() -> float:
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize(
    ("seed", "count"),
    [
        (21, 10_000),
        # A million in all, in parts that can run beside each other.
        *(
            pytest.param(seed, 250_000, marks=[pytest.mark.torture, pytest.mark.timeout(1_800)])
            for seed in (22, 23, 24, 25)
        ),
    ],
)
def test_random_bodies_are_answered_and_break_nothing(tmp_path: Path, seed: int, count: int) -> None:
    service = Service(tmp_path / "holdline.db")
    fuzzer, rng = Fuzzer(seed), random.Random(seed)
    codes: Counter[int] = Counter()
    reached: set[int] = set()
    early_mb = 0.0

    for place in range(0, count, TOGETHER):
        until_us = time.monotonic_ns() // 1_000 + 60_000_000
        calls = [
            Call(method, "tests", until_us, "", body, rng.choice(CRITICALITIES))
            for method, body in (fuzzer.body() for _ in range(TOGETHER))
        ]
        for call, answer in service.answers(calls):
            assert answer.code in ALLOWED, (METHODS[call.method].path, call.body.hex(), answer)
            assert not answer.code or is_named(call.method, answer.body), (METHODS[call.method].path, answer)
            codes[answer.code] += 1
            if not answer.code:
                reached.add(call.method)
                fuzzer.learn(answer.body)
        if place == count // 5:
            early_mb = _resident_mb()
    grown_mb = _resident_mb() - early_mb

    assert sum(codes.values()) == count
    # A flood that validation stops at the door would prove little.
    assert codes[0] > count // 50
    assert len(reached) > len(requests_of()) // 2
    assert verify(service.store).faults == ()
    assert replay(service.store, bootstrap.make_control()).differences == ()
    assert grown_mb < MEMORY_GROWTH_MB_MAX
    service.store.close()


@pytest.mark.parametrize(
    "count", [1_000, pytest.param(20_000, marks=[pytest.mark.torture, pytest.mark.timeout(1_200)])]
)
def test_random_bodies_over_the_wire_leave_the_server_serving(tmp_path: Path, count: int) -> None:
    codes: Counter[grpc.StatusCode] = Counter()
    fuzzer = Fuzzer(22)

    with running_server(tmp_path) as server, grpc.insecure_channel(server.listen) as channel:
        pids = server.pids()
        for _ in range(count):
            method, body = fuzzer.body()
            codes[_asked(channel, METHODS[method], body)] += 1
        assert server.pids() == pids

    assert sum(codes.values()) == count
    assert {code.value[0] for code in codes} <= ALLOWED, codes
    assert codes[grpc.StatusCode.DEADLINE_EXCEEDED] == 0


def _asked(channel: grpc.Channel, method: Method, body: bytes) -> grpc.StatusCode:
    """Send a body, and of a stream of answers take the first; gives the status."""
    is_stream = method.shape in (Shape.STREAM, Shape.WATCH, Shape.POLL)
    call: Any = (channel.unary_stream if is_stream else channel.unary_unary)(method.path)
    try:
        answer = call(body, timeout=10)
        if is_stream:
            next(answer, None)
            answer.cancel()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
