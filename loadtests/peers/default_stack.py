"""Holdline beside what a team would write by default: the same decision behind FastAPI, uvicorn and SQLAlchemy.

Promises the same accounts, facts and closed loop for both, a key of its own for each call, and turns in one run. The
peer itself stands in `tests/house/default_stack.py`, for it calls the domain as any code of its own would.
"""

import json
import random
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final

from loadtests import bodies, http1, wire
from loadtests.peers import process
from loadtests.scenario import Rpc
from loadtests.traffic import PATHS

IN_FLIGHT: Final = 32
ACCOUNTS_ASKED: Final = 500
_numbers = count()


def _bodies(rng: random.Random, kind: str, accounts: Iterator[int]) -> Iterator[bytes]:
    for account in accounts:
        facts = {
            field.name: value.minor_units if field.message_type else value
            for field, value in bodies.facts(rng).ListFields()
        }
        asked = {"request_id": f"p-{next(_numbers)}", "account_id": f"acc-{account}", "kind": kind, "facts": facts}
        yield json.dumps(asked).encode()


def lines(listen: str, seconds: float, rounds: int) -> list[str]:
    """Measure both in turns; gives a line of the figures."""
    rng = random.Random(12)
    ours, theirs = [], []
    with (
        tempfile.TemporaryDirectory(prefix="holdline-peer-") as folder,
        process.running("tests.house.default_stack", str(Path(folder) / "peer.db")) as (peer, _),
    ):
        http1.each_once(peer, "/decide", _bodies(rng, "ASSIGN", iter(range(ACCOUNTS_ASKED))))
        for _ in range(rounds):
            asked = _bodies(rng, "REVIEW", iter(lambda: rng.randrange(ACCOUNTS_ASKED), -1))
            theirs.append(http1.closed_loop(peer, "/decide", asked, IN_FLIGHT, seconds))
            fresh = bodies.prepared(int(25_000 * seconds), rng)
            with closing(wire.Connection(listen, PATHS[Rpc.DECIDE], "bench")) as connection:
                ours.append(wire.closed_loop(connection, fresh, IN_FLIGHT, seconds))
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
