"""Measure inside the process, where the wire would only blur: one policy evaluation, one engine batch.

`python -m tests.house.measure evaluation` prints a name and microseconds a line, best of five; `modes` ratios to
normal mode under each playbook; `preview` replays a second under each; `events` events a second of CPU, in batches of
1,000 on a real file; `profile` where an engine's microseconds go, by function, for batches of 1,000 on a real file.
"""

import cProfile
import pstats
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests import bodies
from service import bootstrap, telemetry
from service.domain.activation import Activation, requested
from service.domain.decide import decide
from service.domain.decision import Kind
from service.domain.mode import EVERYBODY, NORMAL, Measure, Mode, composed
from service.domain.playbook import Playbook, Value
from service.drill.stage import rehearsing
from service.engine import preview as previews
from service.engine.ports.codec import Call
from service.engine.process import Engine
from service.launch import GARBAGE_MAX, spare_the_collector
from service.rpc.methods import INDEX_OF
from tests.builders import NOW, PLAYBOOKS, account, command, policy, settings, sqlite

ROUNDS = 5
CALLS = 20_000
BATCHES = 30
PREVIEWED = 10_000
FAR_AWAY_US = 1 << 62
DECIDE = INDEX_OF["/holdline.v1.LimitService/BatchDecide"]
EVENTS = INDEX_OF["/holdline.v1.EventService/RecordEvents"]


def evaluation() -> None:
    """Time `domain.decide` with the reference policy."""
    for kind in (Kind.RAISE, Kind.REDUCE, Kind.REVIEW):
        asked, known, rules = command(kind), account(), policy()

        def once(asked: object = asked, known: object = known, rules: object = rules) -> None:
            decide(asked, known, rules, NORMAL, NOW)  # type: ignore[arg-type]  # bound defaults.

        print(kind.name, min(timeit.repeat(once, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6)


def modes() -> None:
    """Time `domain.decide` of a raise under each playbook, as a ratio to normal mode in the same rounds."""
    rules = policy()
    for playbook in PLAYBOOKS.all():
        parameters = playbook.make_parameters(**_values(playbook, rules.version))
        measure = Measure(f"A1@{playbook.title}", 1, EVERYBODY, parameters, playbook)
        mode = composed([measure], {rules.version: rules})
        with_it, without = _best_us(mode, NORMAL)
        print(playbook.title, with_it / without)


def _values(playbook: Playbook, policy_version: str) -> dict[str, Value]:
    return {one.name: one.default or 0 if not one.is_policy else policy_version for one in playbook.parameters}


def _best_us(*modes: Mode) -> list[float]:
    """Give the best microseconds of a raise in each mode; rounds alternate, so that a slow moment meets all."""
    asked, known, rules = command(Kind.RAISE), account(), policy()
    best = [float("inf")] * len(modes)
    for _ in range(20):
        for place, mode in enumerate(modes):
            seconds = timeit.timeit(lambda mode=mode: decide(asked, known, rules, mode, NOW), number=CALLS // 20)  # type: ignore[misc]  # a bound default.
            best[place] = min(best[place], seconds / (CALLS // 20) * 1e6)
    return best


def preview() -> None:
    """Time previews of 10,000 recorded decisions, reading included, in CPU; print replays a second and core."""
    with rehearsing("", seed=1) as rehearsal:
        store, parts = rehearsal.calm()
        for playbook in PLAYBOOKS.all():
            values = _values(playbook, "reference-2026-2")
            candidate = requested(
                0, playbook, values, EVERYBODY, 1, "", "", "", 0, is_break_glass=True, is_forced=False
            )  # fmt: skip

            def once(playbook: Playbook = playbook, candidate: Activation = candidate) -> float:
                started = time.process_time()
                found = previews.preview(
                    previews.newest(store, PREVIEWED), playbook, EVERYBODY,
                    lambda names: parts.control.recorded_mode(store, names, candidate), parts.desk.policy,
                )  # fmt: skip
                return found.decisions / (time.process_time() - started)

            print(playbook.title, max(once() for _ in range(ROUNDS)))


@contextmanager
def _loaded_engine() -> Iterator[Engine]:
    """Give an engine over a real file whose accounts have their first limit."""
    with tempfile.TemporaryDirectory() as folder:
        store = sqlite(Path(folder) / "holdline.db")
        engine = bootstrap.make_engine(store, settings(), telemetry.engine_meters(None))
        for body in bodies.first_limits():
            _ask(engine, DECIDE, body)
        spare_the_collector(GARBAGE_MAX)
        yield engine
        store.close()


def _ask(engine: Engine, method: int, body: bytes) -> None:
    for _, answer in engine.answers([Call(method, "measure", FAR_AWAY_US, "", body)], 0):
        assert answer.code == 0, answer


def _cpu_seconds(engine: Engine, method: int, sent: list[bytes]) -> float:
    started = time.process_time()
    for body in sent:
        _ask(engine, method, body)
    return time.process_time() - started


def events() -> None:
    """Time the engine on batches of 1,000 events, so many of an account together; print events a second of CPU."""
    with _loaded_engine() as engine:
        for per_account in (10, 1) * ROUNDS:
            sent = bodies.events_in_batches(BATCHES, per_account)
            rate = BATCHES * bodies.BATCH / _cpu_seconds(engine, EVENTS, sent)
            print(f"{per_account} of an account: {rate:,.0f} events a second of CPU")


def profile() -> None:
    """Profile the engine on batches of 1,000 decisions."""
    with _loaded_engine() as engine:
        sent = bodies.decisions_in_batches(2 * BATCHES)
        used = _cpu_seconds(engine, DECIDE, sent[:BATCHES])
        print(f"{used / BATCHES * 1e3:.1f} µs of CPU a decision, in batches of 1,000")
        profiler = cProfile.Profile()
        profiler.enable()
        _cpu_seconds(engine, DECIDE, sent[BATCHES:])
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(28)


if __name__ == "__main__":
    measures = {"evaluation": evaluation, "modes": modes, "preview": preview, "events": events, "profile": profile}
    measures[sys.argv[1]]()
