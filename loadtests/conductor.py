"""Conducts a run: a server, its population, the generators, what goes wrong, the audit, and one result for all of it.

Promises that a run ends by itself, that traffic goes where it was told and to loopback where nothing was, and that
every process it started is gone afterwards.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from hdrh.histogram import HdrHistogram
from holdline.client import Client

from loadtests import machine
from loadtests.audit import Auditor
from loadtests.disturbances import Disturbances
from loadtests.own_server import OwnServer
from loadtests.result import judge
from loadtests.sampler import Sampler
from loadtests.scenario import Phase, Rpc, Scenario, What
from loadtests.tally import histogram
from loadtests.traffic import take_over

START_SECONDS: Final = 1.0
"""Between the order to start and the first call, so that all generators begin together."""
READY_SECONDS_MAX: Final = 60.0
CALIBRATION_SECONDS: Final = 4.0
CALIBRATION_IN_FLIGHT: Final = 256
SETTLE_SECONDS: Final = 1.0
LATE_SHARE_MAX: Final = 0.01
_FAULTY: Final = (What.SLOW_DISK, What.FULL_DISK, What.CLOCK_STEP)

Watch = Callable[[dict[str, Any]], None]
"""Sees what the load says of each second, while it runs."""


@contextmanager
def own_server(scenario: Scenario, folder: Path) -> Iterator[OwnServer]:
    """Start a server of the test's own."""
    has_faults = any(one.what in _FAULTY for one in scenario.disturbances)
    server = OwnServer(scenario, folder, has_faults=has_faults)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Loaded(NamedTuple):
    """A server with a scenario's population: where it listens, ours to hurt or not, a folder, how many were new."""

    listen: str
    server: OwnServer | None
    folder: Path
    taken_over: int


@contextmanager
def loaded(scenario: Scenario, target: str) -> Iterator[Loaded]:
    """Take a scenario's population over at a target, or at a server of its own where there is none."""
    with tempfile.TemporaryDirectory(prefix="holdline-load-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(own_server(scenario, folder)) if not target else None
        listen = server.listen if server is not None else target
        with Client(listen, caller="load", timeout_seconds=60.0) as client:
            taken_over = take_over(client, scenario.population, scenario.seed)
        yield Loaded(listen, server, folder, taken_over)


def run(scenario: Scenario, target: str, watch: Watch) -> dict[str, Any]:
    """Run a scenario against a target, or a server of its own where there is none; gives the result as JSON holds it.

    Raises LookupError where the scenario needs a server of its own and has none.
    """
    if target and scenario.needs_own_server:
        raise LookupError("this scenario kills and hurts processes; run it with --start-server")
    with loaded(scenario, target) as (listen, server, folder, taken_over):
        capacity, known = 0.0, taken_over
        if scenario.needs_capacity:
            capacity, decided = calibrated(scenario, listen, folder)
            known += decided
            scenario = scenario.at_capacity(capacity)
        time.sleep(SETTLE_SECONDS)
        result = _plan_of(scenario, listen, is_own=server is not None)
        result["capacity"] = capacity
        auditor = Auditor(listen)
        disturbances = Disturbances(listen, server, scenario.disturbances)
        ports = [server.metrics_port + place for place in range(1 + scenario.server.gateways)] if server else []
        log = server.path.with_name(server.path.name + "-wal") if server else None
        sampler = Sampler(listen, server.pids if server else dict, ports, log)

        def begun(began: float, generators: list[int]) -> None:
            sampler.start(began, generators)
            disturbances.start(began)

        result |= load(scenario, listen, folder, f"load-{os.getpid()}", watch, begun)
        sampler.stop()
        disturbances.stop()
        for number in range(scenario.processes):
            auditor.audit(f"load-{os.getpid()}-{number}", folder / f"journal-{number}")
        if disturbances.business_date:
            auditor.hold_day(disturbances.business_date)
        if server is not None:
            result["store"] = auditor.hold_store(server, _expected(scenario, known, auditor))
        for fault in disturbances.faults:
            auditor.fault(fault)
        verdict = auditor.verdict()
    result |= {"samples": sampler.samples, "disturbances": disturbances.log, "verdict": verdict._asdict()}
    result["verdict"]["faults"] = list(verdict.faults)
    return judge(scenario, result)


def _expected(scenario: Scenario, known: int, auditor: Auditor) -> int | None:
    """Give how many decisions the store must have; nothing where others than the journals' callers decided."""
    others = {What.DAILY_RUN, What.LONG_STREAM, What.SLOW_READER}
    if Rpc.BATCH in scenario.mix or any(one.what in others for one in scenario.disturbances):
        return None
    return known + auditor.decided


def calibrated(scenario: Scenario, listen: str, folder: Path) -> tuple[float, int]:
    """Measure the capacity in a closed loop of the scenario's mix; gives OK answers a second, and decisions made."""
    seconds = CALIBRATION_SECONDS
    closed = scenario.model_copy(
        update={
            "closed_loop": CALIBRATION_IN_FLIGHT, "processes": 1, "duplicates": 0.0, "disturbances": (),
            "objectives": (),
            "phases": (Phase(name="calibration", seconds=seconds, per_second=1),),
        }
    )  # fmt: skip
    found = load(closed, listen, folder, f"calibrates-{os.getpid()}", lambda _: None)
    auditor = Auditor(listen)
    auditor.audit(f"calibrates-{os.getpid()}-0", folder / "journal-0")
    good = sum(count for _, _, status, count in found["statuses"] if status == "0")
    return good / seconds, auditor.decided


def load(
    scenario: Scenario, listen: str, folder: Path, caller: str, watch: Watch,
    begun: Callable[[float, list[int]], None] = lambda _, __: None,
) -> dict[str, Any]:  # fmt: skip
    """Let the generators run and gather what they tell. Raises RuntimeError where one of them fails.

    `begun` hears when the load starts, in monotonic seconds, and the generators' processes.
    """
    told: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
    processes = []
    try:
        for number in range(scenario.processes):
            process = subprocess.Popen(
                [sys.executable, "-m", "loadtests.generator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            processes.append(process)
            orders = {
                "scenario": scenario.model_dump(mode="json"), "number": number, "listen": listen,
                "caller": f"{caller}-{number}", "journal": str(folder / f"journal-{number}"),
            }  # fmt: skip
            _order(process, json.dumps(orders))
            threading.Thread(target=_listen, args=(number, process, told), daemon=True).start()
        for _ in processes:
            if told.get(timeout=READY_SECONDS_MAX)[1] is None:
                raise RuntimeError("a generator did not start; its log stands above")
        began = time.monotonic() + START_SECONDS
        for process in processes:
            _order(process, repr(began))
        begun(began, [process.pid for process in processes])
        return _gathered(scenario, len(processes), told, watch)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()


def _order(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _listen(
    number: int, process: "subprocess.Popen[str]", told: "queue.Queue[tuple[int, dict[str, Any] | None]]"
) -> None:
    assert process.stdout is not None
    with contextlib.suppress(ValueError):
        for line in process.stdout:
            told.put((number, json.loads(line)))
    told.put((number, None))


def _gathered(
    scenario: Scenario, count: int, told: "queue.Queue[tuple[int, dict[str, Any] | None]]", watch: Watch
) -> dict[str, Any]:
    """Put together what the generators tell, second by second, and their results."""
    seconds: dict[int, dict[str, Any]] = {}
    results: list[dict[str, Any]] = []
    give_up_at = time.monotonic() + scenario.seconds + scenario.deadline_ms / 1_000 + 60
    while len(results) < count:
        message = told.get(timeout=max(give_up_at - time.monotonic(), 0.1))[1]
        if message is None:
            raise RuntimeError("a generator ended before its time; its log stands above")
        if "result" in message:
            results.append(message)
            continue
        number = message["second"]
        known = seconds.setdefault(number, {"second": number, "counts": Counter(), "latencies": histogram(2), "of": 0})
        known["counts"].update(message["counts"])
        known["latencies"].decode_and_add(message["latencies"])
        known["of"] += 1
        if known["of"] == count:
            watch(_second_of(known))
    return _merged(results) | {"seconds": [_second_of(seconds[number]) for number in sorted(seconds)]}


def _second_of(known: dict[str, Any]) -> dict[str, Any]:
    latencies: HdrHistogram = known["latencies"]
    found = {"second": known["second"], **known["counts"]}
    if latencies.get_total_count():
        found |= {f"p{share:g}": latencies.get_value_at_percentile(share) / 1e3 for share in (50, 99)}
    return found


def _merged(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Add the generators' tallies up."""
    latencies: dict[tuple[int, str, str, bool], HdrHistogram] = {}
    statuses: Counter[tuple[int, str, str]] = Counter()
    lag = histogram()
    sums: Counter[str] = Counter()
    for one in results:
        tally = one["result"]
        for phase, rpc, told, is_hot, encoded in tally["latencies"]:
            latencies.setdefault((phase, rpc, told, is_hot), histogram()).decode_and_add(encoded)
        statuses.update({(phase, rpc, status): count for phase, rpc, status, count in tally["statuses"]})
        lag.decode_and_add(tally["lag"])
        sums.update({name: tally[name] for name in ("begun", "late", "attempts", "firsts", "duplicates", "replays")})
    late_share = sums["late"] / sums["begun"] if sums["begun"] else 0.0
    return {
        "latencies": latencies,
        "statuses": [[*key, count] for key, count in sorted(statuses.items())],
        "sums": dict(sums),
        "generator": {
            "cpu_seconds": [one["cpu_seconds"] for one in results], "niceness": [one["niceness"] for one in results],
            "lag_ms": {f"p{share:g}": lag.get_value_at_percentile(share) / 1e3 for share in (50, 99, 99.9, 100)},
            "late_share": late_share, "kept_schedule": late_share <= LATE_SHARE_MAX,
        },
    }  # fmt: skip


def _plan_of(scenario: Scenario, listen: str, *, is_own: bool) -> dict[str, Any]:
    return {
        "scenario": scenario.model_dump(mode="json"), "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "target": "a server of its own" if is_own else listen,
        "machine": machine.described(),
    }  # fmt: skip
