"""Measure inside the process, where the wire would only blur: one policy evaluation, one engine batch.

`python -m tests.house.measure evaluation` prints a name and microseconds a line, best of five; `profile` prints where
an engine's microseconds go, by function, for batches of 1,000 on a real file.
"""

import cProfile
import pstats
import random
import sys
import tempfile
import time
import timeit
from pathlib import Path

from holdline.v1 import decision_pb2, limit_service_pb2

from loadtests import bench
from service import bootstrap, telemetry
from service.domain.decide import decide
from service.domain.decision import Kind
from service.domain.mode import NORMAL
from service.engine.ports import Call
from service.rpc.methods import INDEX_OF
from tests.builders import NOW, account, command, policy, settings, sqlite

ROUNDS = 5
CALLS = 20_000
BATCHES = 30
FAR_AWAY_US = 1 << 62


def evaluation() -> None:
    """Time `domain.decide` with the reference policy."""
    for kind in (Kind.RAISE, Kind.REDUCE, Kind.REVIEW):
        asked, known, rules = command(kind), account(), policy()

        def once(asked: object = asked, known: object = known, rules: object = rules) -> None:
            decide(asked, known, rules, NORMAL, NOW)  # type: ignore[arg-type]  # bound defaults.

        print(kind.name, min(timeit.repeat(once, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6)


def profile() -> None:
    """Profile the engine on batches of 1,000 decisions."""
    method = INDEX_OF["/holdline.v1.LimitService/BatchDecide"]
    with tempfile.TemporaryDirectory() as folder:
        store = sqlite(Path(folder) / "holdline.db")
        engine = bootstrap.make_engine(store, settings(), telemetry.engine_meters(None))
        source = bench.requests(random.Random(3))
        loads = [
            limit_service_pb2.DecideRequest(
                request_id=f"l-{number}", account_id=f"acc-{number}", product="revolving",
                kind=decision_pb2.DECISION_KIND_ASSIGN, facts=bench.GOOD,
            )
            for number in range(bench.ACCOUNTS)
        ]  # fmt: skip
        bodies = [
            limit_service_pb2.BatchDecideRequest(requests=loads[start : start + 1_000]).SerializeToString()
            for start in range(0, bench.ACCOUNTS, 1_000)
        ]
        for body in bodies:
            engine.answers([Call(method, "profile", FAR_AWAY_US, "", body)], 0)
        bodies = [
            limit_service_pb2.BatchDecideRequest(requests=[next(source) for _ in range(1_000)]).SerializeToString()
            for _ in range(2 * BATCHES)
        ]
        started = time.process_time()
        for body in bodies[:BATCHES]:
            engine.answers([Call(method, "profile", FAR_AWAY_US, "", body)], 0)
        used = time.process_time() - started
        print(f"{used / BATCHES * 1e3:.1f} µs of CPU a decision, in batches of 1,000")
        profiler = cProfile.Profile()
        profiler.enable()
        for body in bodies[BATCHES:]:
            engine.answers([Call(method, "profile", FAR_AWAY_US, "", body)], 0)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(28)
        store.close()


if __name__ == "__main__":
    {"evaluation": evaluation, "profile": profile}[sys.argv[1]]()
