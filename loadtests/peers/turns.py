"""Holdline and a peer in turns: the same closed loop for both, and two lines of the figures.

Promises that every call of both was answered with OK, or an AssertionError.
"""

import random
import statistics
from collections.abc import Callable
from contextlib import closing
from typing import Final

from loadtests import bodies, wire
from loadtests.scenario import Rpc
from loadtests.traffic import PATHS

IN_FLIGHT: Final = 32


def lines(listen: str, peer: str, ask_peer: Callable[[], wire.Run], seconds: float, rounds: int) -> list[str]:
    """Measure Holdline at an address and a peer, so many seconds a round; `peer` names it."""
    rng = random.Random(12)
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(ask_peer())
        fresh = bodies.prepared(int(25_000 * seconds), rng)
        with closing(wire.Connection(listen, PATHS[Rpc.DECIDE], "bench")) as connection:
            ours.append(wire.closed_loop(connection, fresh, IN_FLIGHT, seconds))
    assert all(run.codes.keys() == {"0"} for run in (*ours, *theirs)), [run.codes for run in theirs]
    ratios = [mine.per_second / other.per_second for mine, other in zip(ours, theirs, strict=True)]
    rate, peer_rate = (statistics.median(run.per_second for run in runs) for runs in (ours, theirs))
    p99, peer_p99 = (statistics.median(run.percentile(0.99) for run in runs) for runs in (ours, theirs))
    spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    title = f"durable decision against {peer} (not the echo), {IN_FLIGHT} in flight"
    return [
        f"| {title}, calls/s | {rate:,.0f} | {peer_rate:,.0f} | {spread} | |",
        f"| … p99, ms | {p99:.1f} | {peer_p99:.1f} | {p99 / peer_p99:.2f} | |",
    ]
