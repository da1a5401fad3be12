"""`make bench`: the figures of DESIGN 10 as ratios inside one run on this machine.

Promises fresh keys (a replay voids the run), the same generator and message sizes for service and peer, alternating
runs, and a verified store at the end. Timings are reported, never asserted.
"""

import argparse
import os
import queue
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import grpc
from holdline.client import Client

from loadtests import machine, wire
from loadtests.bodies import BATCH, decisions_in_batches, events_in_batches, first_limits, prepared, requests
from loadtests.machine import cpu_seconds
from loadtests.peers import cerbos, default_stack, echo, process
from service.local_server import Server, running_server

FLOOD_CONNECTIONS = 32
FIGURES = Path(__file__).parent / "FIGURES.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
"""What stands between them in the figures is written anew."""


def load_accounts(listen: str) -> None:
    """Give every account its first limit, in batches."""
    with grpc.insecure_channel(listen) as channel:
        call: Any = channel.unary_unary("/holdline.v1.LimitService/BatchDecide")
        for body in first_limits():
            call(body, timeout=30)


def run_unary(listen: str, in_flight: int, seconds: float, amount: int) -> wire.Run:
    """Run a closed loop of fresh decisions."""
    connection = wire.Connection(listen, echo.METHOD, "bench")
    try:
        return wire.closed_loop(connection, prepared(amount, random.Random(amount)), in_flight, seconds)
    finally:
        connection.close()


def run_open(listen: str, per_second: float, seconds: float, seed: int = 7) -> wire.Run:
    """Run an open loop of fresh decisions."""
    connection = wire.Connection(listen, echo.METHOD, "bench")
    try:
        bodies = prepared(int(per_second * seconds) + 1, random.Random(seed))
        return wire.open_loop(connection, bodies, per_second, seconds)
    finally:
        connection.close()


def run_batches(server: Server, method: str, bodies: list[bytes], *, is_stream: bool = False) -> tuple[float, float]:
    """Send batches of 1,000, two in flight; gives items a second, and a second of the engine's CPU."""
    engine = server.pids()["engine"]
    options = [("grpc.max_receive_message_length", 1 << 24)]
    with grpc.insecure_channel(server.listen, options=options) as channel:
        before, started = cpu_seconds(engine), time.perf_counter()
        if is_stream:
            stream: Any = channel.stream_stream(f"/holdline.v1.{method}")
            answers = sum(1 for _ in stream(iter(bodies), timeout=120))
        else:
            unary: Any = channel.unary_unary(f"/holdline.v1.{method}")
            waiting, answers = [], 0
            for body in bodies:
                waiting.append(unary.future(body, timeout=60))
                if len(waiting) == 2:
                    waiting.pop(0).result()
                    answers += 1
            answers += len([future.result() for future in waiting])
        seconds = time.perf_counter() - started
        used = cpu_seconds(engine) - before
    assert answers == len(bodies)
    return len(bodies) * BATCH / seconds, len(bodies) * BATCH / used


def measured(what: str) -> dict[str, float]:
    """Measure inside the service, in a process of its own: names and figures, best of five."""
    command = [sys.executable, "-m", "tests.house.measure", what]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return {name: float(value) for name, value in (line.split() for line in run.stdout.splitlines())}


def machine_lines() -> list[str]:
    """Describe what the figures were measured on."""
    found = machine.described()
    return [
        f"{found['cores']} cores, {found['architecture']}, kernel {found['kernel']}",
        (
            f"Python {found['python']}, grpcio {found['grpcio']}, protobuf {found['protobuf']} (upb), "
            f"uvloop {found['uvloop']}, SQLite {found['sqlite']}"
        ),
        f"fdatasync after 8 KiB: p50 {found['sync_us']['p50']} µs, p99 {found['sync_us']['p99']} µs",
    ]


def main() -> None:
    """Measure and print; `--write` puts the result into FIGURES.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each run")
    parser.add_argument("--rounds", type=int, default=5, help="alternating runs of service and peer")
    parser.add_argument("--write", action="store_true", help="write the table into loadtests/FIGURES.md")
    chosen = parser.parse_args()
    lines = [f"- {line}" for line in machine_lines()]
    with tempfile.TemporaryDirectory(prefix="holdline-bench-") as name, running_server(Path(name)) as server:
        load_accounts(server.listen)
        lines += ["", *measure(server, chosen.seconds, chosen.rounds)]
    print("\n".join(lines))
    if chosen.write:
        command = f"python -m loadtests.bench --seconds {chosen.seconds:g} --rounds {chosen.rounds} --write"
        today = time.strftime("%Y-%m-%d", time.gmtime())
        before, _, rest = FIGURES.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        table = "\n".join(("", f"Written by `{command}` on {today}.", "", *lines, ""))
        FIGURES.write_text(before + BEGIN + table + END + after, encoding="utf-8")


def measure(server: Server, seconds: float, rounds: int) -> list[str]:
    """Run every measurement and give the lines of the report."""
    answer_bytes = run_unary(server.listen, 4, 0.5, 10_000).answer_bytes
    lines = ["| what | Holdline | bare echo | ratio | target |", "| --- | --- | --- | --- | --- |"]
    with process.running("loadtests.peers.echo", str(answer_bytes)) as (peer, _):
        best: dict[str, float] = {}
        for in_flight in (64, 4):
            ours, theirs = [], []
            for _ in range(rounds):
                theirs.append(run_unary(peer, in_flight, seconds, int(40_000 * seconds)))
                ours.append(run_unary(server.listen, in_flight, seconds, int(25_000 * seconds)))
                told = [(run.codes, run.replayed) for run in ours]
            assert all(codes.keys() == {"0"} and not replayed for codes, replayed in told), told
            ratios = [mine.per_second / other.per_second for mine, other in zip(ours, theirs, strict=True)]
            rate, echo_rate = (statistics.median(run.per_second for run in runs) for runs in (ours, theirs))
            if in_flight == 64:
                best = {"ours": rate, "echo": echo_rate}
            lines.append(
                f"| durable unary `Decide`, {in_flight} in flight, calls/s | {rate:,.0f} | {echo_rate:,.0f} "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
                f"| {'≥ 0.75' if in_flight == 64 else 'fsync counts'} |"
            )
        halves = []
        for _ in range(rounds):
            mine = run_open(server.listen, best["ours"] / 2, seconds)
            halves.append((mine, run_open(peer, best["echo"] / 2, seconds)))
        p99s = [(mine.percentile(0.99), other.percentile(0.99)) for mine, other in halves]
        our_p99, echo_p99 = (statistics.median(values) for values in zip(*p99s, strict=True))
        lines.append(
            f"| p99 at half of its own load, ms | {our_p99:.2f} | {echo_p99:.2f} | {our_p99 / echo_p99:.2f} | ≤ 2 |"
        )
        same = [run_open(peer, best["ours"] / 2, seconds).percentile(0.99) for _ in range(rounds)]
        lines.append(
            f"| p99 of both at half of Holdline's load, ms | {our_p99:.2f} | {statistics.median(same):.2f} "
            f"| {our_p99 / statistics.median(same):.2f} | |"
        )
    lines += default_stack.lines(server.listen, seconds, rounds)
    with Client(server.listen, caller="bench") as client:
        document = client.policy("reference-2026-2").document
    lines += cerbos.lines(server.listen, document, seconds, rounds)
    for method, is_stream in (("BatchDecide", False), ("StreamDecisions", True)):
        path = f"LimitService/{method}"
        runs = [run_batches(server, path, decisions_in_batches(30), is_stream=is_stream) for _ in range(rounds)]
        lines.append(_batch_line(f"`{method}` of 1,000, decisions", runs, "≥ 50,000"))
    for per_account in (10, 1):
        path = "EventService/RecordEvents"
        runs = [run_batches(server, path, events_in_batches(30, per_account)) for _ in range(rounds)]
        title = f"`RecordEvents` of 1,000, {per_account} of an account at a time, events"
        lines.append(_batch_line(title, runs, "≥ 30,000"))
    for title, micros in measured("evaluation").items():
        lines.append(f"| `domain.decide`, {title}, µs | {micros:.1f} | | | ≤ 15 |")
    lines += playbook_lines(server)
    floods = [run_flood(server.listen, best["ours"] * 3, seconds) for _ in range(rounds)]
    good = statistics.median(run.per_second for run in floods)
    p99 = statistics.median(run.percentile(0.99) for run in floods)
    lines.append(
        f"| goodput at 3 × capacity, {FLOOD_CONNECTIONS} connections, answers/s | {good:,.0f} | "
        f"| {good / best['ours']:.2f} of best | flat |"
    )
    assert all(run.codes.keys() <= {"0", "8", "not sent"} for run in floods), [run.codes for run in floods]
    shares = {code: round(sum(run.codes.get(code, 0) for run in floods) / rounds) for code in ("0", "8", "not sent")}
    lines.append(f"| … p99 of its answers, ms; answered, shed, held back by the caller | {p99:.0f}; {shares} | | | |")
    back = restart_seconds(server)
    lines.append(f"| engine killed under no load: seconds until it serves again | {back:.2f} | | | < 2 |")
    return lines


def _batch_line(title: str, runs: list[tuple[float, float]], target: str) -> str:
    wall, per_core = (statistics.median(values) for values in zip(*runs, strict=True))
    return f"| {title}/s; a second of engine CPU | {wall:,.0f}; {per_core:,.0f} | | | {target} |"


def playbook_lines(server: Server) -> list[str]:
    """Give the lines of previews and of switches of the mode."""
    rates = measured("preview")
    slowest = min(rates, key=lambda title: rates[title])
    seen = switch_seconds(server, 20)
    title = f"a watcher sees a switch of the mode, seconds after its acknowledgement: median, greatest of {len(seen)}"
    rate = f"{rates[slowest]:,.0f}; {statistics.median(rates.values()):,.0f}"
    return [
        f"| previews, replays a second of CPU: slowest ({slowest}), median | {rate} | | | ≥ 20,000 |",
        f"| {title} | {statistics.median(seen):.2f}; {max(seen):.2f} | | | < 1 |",
    ]


def switch_seconds(server: Server, switches: int) -> list[float]:
    """Activate and end a playbook, and time when a watcher hears of each."""
    heard: queue.Queue[tuple[str, float]] = queue.Queue()

    def watch() -> None:
        with Client(server.listen, caller="bench-watches") as client:
            for one in client.watch_mode():
                heard.put((one.mode.mode_id, time.perf_counter()))

    threading.Thread(target=watch, daemon=True).start()
    heard.get(timeout=10)
    seconds = []
    with Client(server.listen, caller="bench") as client:
        for _ in range(switches // 2):
            made = client.activate("shed_low_priority", ttl_seconds=60, reason="bench")
            seconds.append(_heard_after(heard, made.mode_id))
            ended = client.end_activation(made.activation.activation_id, reason="bench")
            seconds.append(_heard_after(heard, ended.mode_id))
    return seconds


def _heard_after(heard: queue.Queue[tuple[str, float]], mode_id: str) -> float:
    acknowledged = time.perf_counter()
    while True:
        found, at = heard.get(timeout=10)
        if found == mode_id:
            return max(at - acknowledged, 0.0)


def run_flood(listen: str, per_second: float, seconds: float) -> wire.Run:
    """Offer three times what the server does."""
    connections = [wire.Connection(listen, echo.METHOD, "bench") for _ in range(FLOOD_CONNECTIONS)]
    try:
        return wire.flood(connections, prepared(int(per_second * seconds) + 1, random.Random(8)), per_second, seconds)
    finally:
        for connection in connections:
            connection.close()


def restart_seconds(server: Server) -> float:
    """Kill the engine and give the seconds until a decision is answered again."""
    source = requests(random.Random(5))
    with grpc.insecure_channel(server.listen) as channel:
        call: Any = channel.unary_unary(echo.METHOD)
        call(next(source).SerializeToString(), timeout=5)
        os.kill(server.pids()["engine"], signal.SIGKILL)
        started = time.perf_counter()
        while time.perf_counter() - started < 30:
            try:
                call(next(source).SerializeToString(), timeout=5)
            except grpc.RpcError:
                time.sleep(0.01)
            else:
                break
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
