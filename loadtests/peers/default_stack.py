"""Holdline beside what a team would write by default: the same decision behind FastAPI, uvicorn and SQLAlchemy.

Promises the same accounts, facts and closed loop for both, a key of its own for each call, and turns in one run. The
peer itself stands in `tests/house/default_stack.py`, for it calls the domain as any code of its own would.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from loadtests import http1, wire
from loadtests.bodies import prepared
from loadtests.scenario import Rpc
from loadtests.traffic import PATHS

IN_FLIGHT: Final = 32
ACCOUNTS_ASKED: Final = 500
_numbers = count()


@contextmanager
def running() -> Iterator[str]:
    """Run the peer; gives its address."""
    with tempfile.TemporaryDirectory(prefix="holdline-peer-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.house.default_stack", str(Path(folder) / "peer.db")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def _bodies(rng: random.Random, kind: str, accounts: Iterator[int]) -> Iterator[bytes]:
    for account in accounts:
        facts = {
            "bureau_score": rng.randrange(500, 850), "enquiries_30d": rng.randrange(6), "identity_level": 2,
            "payment_ratio_bp": rng.randrange(10_001), "monthly_income": rng.randrange(300_000, 3_000_000),
            "on_time_streak_months": rng.randrange(12), "dpd_now": 0,
        }  # fmt: skip
        asked = {"request_id": f"p-{next(_numbers)}", "account_id": f"acc-{account}", "kind": kind, "facts": facts}
        yield json.dumps(asked).encode()


def lines(listen: str, seconds: float, rounds: int) -> list[str]:
    """Measure both in turns; gives a line of the figures."""
    rng = random.Random(12)
    ours, theirs = [], []
    with running() as peer:
        http1.each_once(peer, "/decide", _bodies(rng, "ASSIGN", iter(range(ACCOUNTS_ASKED))))
        for _ in range(rounds):
            asked = _bodies(rng, "REVIEW", iter(lambda: rng.randrange(ACCOUNTS_ASKED), -1))
            theirs.append(http1.closed_loop(peer, "/decide", asked, IN_FLIGHT, seconds))
            connection = wire.Connection(listen, PATHS[Rpc.DECIDE], "bench")
            try:
                ours.append(wire.closed_loop(connection, prepared(int(25_000 * seconds), rng), IN_FLIGHT, seconds))
            finally:
                connection.close()
    assert all(run.codes.keys() == {"0"} for run in (*ours, *theirs)), [run.codes for run in theirs]
    ratios = [mine.per_second / other.per_second for mine, other in zip(ours, theirs, strict=True)]
    rate, peer_rate = (statistics.median(run.per_second for run in runs) for runs in (ours, theirs))
    p99, peer_p99 = (statistics.median(run.percentile(0.99) for run in runs) for runs in (ours, theirs))
    title = f"durable decision against FastAPI, SQLAlchemy, SQLite (not the echo), {IN_FLIGHT} in flight"
    spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    return [
        f"| {title}, calls/s | {rate:,.0f} | {peer_rate:,.0f} | {spread} | |",
        f"| … p99, ms | {p99:.1f} | {peer_p99:.1f} | {p99 / peer_p99:.2f} | |",
    ]
