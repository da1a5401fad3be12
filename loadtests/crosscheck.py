"""Our generator beside h2load (nghttp2) on the same RPC of the same server, in turns.

Promises the same closed loop for both: one connection, so many calls in flight, `GetAccount` of one account. h2load
sends one body again and again and takes any HTTP status 200 for success, so a read is the fair call, and the answers
are counted by our own side as well.
"""

import re
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Final, NamedTuple

from holdline.client import Client
from holdline.v1 import account_service_pb2

from loadtests import wire
from loadtests.scenario import Population, Rpc
from loadtests.traffic import PATHS, account_name, take_over
from service.local_server import running_server

IN_FLIGHT: Final = 16
AGREES_WITHIN: Final = 0.1
CALLER: Final = "load-cross"


class Comparison(NamedTuple):
    """What was found, in words, and whether both generators agree."""

    lines: list[str]
    agrees: bool


class Measured(NamedTuple):
    """Calls a second and the median in milliseconds."""

    per_second: float
    median_ms: float


def compare(seconds: float, rounds: int) -> Comparison:
    """Run both in turns against a server of their own; raises RuntimeError where h2load is missing."""
    h2load = shutil.which("h2load")
    if h2load is None:
        raise RuntimeError("h2load is not installed; Debian has it in nghttp2-client")
    body = account_service_pb2.GetAccountRequest(account_id=account_name(0)).SerializeToString()
    with tempfile.TemporaryDirectory(prefix="holdline-cross-") as name, running_server(Path(name)) as server:
        with Client(server.listen, caller="load", timeout_seconds=30.0) as client:
            take_over(client, Population(accounts=1), 1)
        _ours(server.listen, body, 1.0)
        pairs = []
        for _ in range(rounds):
            ours = _ours(server.listen, body, seconds)
            theirs = _h2load(h2load, server.listen, body, int(ours.per_second * seconds), Path(name))
            pairs.append((ours, theirs))
    rates = [ours.per_second / theirs.per_second for ours, theirs in pairs]
    medians = [ours.median_ms / theirs.median_ms for ours, theirs in pairs]
    lines = [
        f"ours {ours.per_second:8,.0f}/s, median {ours.median_ms:6.2f} ms; "
        f"h2load {theirs.per_second:8,.0f}/s, median {theirs.median_ms:6.2f} ms"
        for ours, theirs in pairs
    ]
    agrees = True
    for title, ratios in (("throughput", rates), ("median", medians)):
        ratio = statistics.median(ratios)
        close = abs(ratio - 1) <= AGREES_WITHIN
        agrees = agrees and close
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        lines.append(f"{title}: ours over h2load's {ratio:.3f} ({spread}), {'agrees' if close else 'DISAGREES'}")
    return Comparison(lines, agrees)


def _ours(listen: str, body: bytes, seconds: float) -> Measured:
    with closing(wire.Connection(listen, PATHS[Rpc.ACCOUNT], CALLER)) as connection:
        connection.greet(1.0)
        run = wire.closed_loop(connection, repeat(body), IN_FLIGHT, seconds)
    if run.codes.keys() != {"0"}:
        raise RuntimeError(f"not every read was answered: {run.codes}")
    return Measured(run.per_second, run.percentile(0.5))


def _h2load(h2load: str, listen: str, body: bytes, calls: int, folder: Path) -> Measured:
    frame, log = folder / "body", folder / "log"
    frame.write_bytes(b"\0" + struct.pack(">I", len(body)) + body)
    log.unlink(missing_ok=True)
    headers = ("content-type: application/grpc", "te: trailers", f"x-holdline-caller: {CALLER}", "grpc-timeout: 5S")
    command = [h2load, "-n", str(calls), "-c", "1", "-m", str(IN_FLIGHT), "-d", str(frame), f"--log-file={log}"]
    for header in headers:
        command += ["-H", header]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, f"http://{listen}{PATHS[Rpc.ACCOUNT]}"], capture_output=True, text=True, check=True, timeout=300
    )
    told = re.search(r"finished in .*?, ([\d.]+) req/s", done.stdout)
    rate = float(told[1]) if told else calls / (time.perf_counter() - began)
    micros = [int(line.split("\t")[2]) for line in log.read_text(encoding="ascii").splitlines()]
    return Measured(rate, statistics.median(micros) / 1e3)
