"""Holdline beside what a team would write by default: the same decision behind FastAPI, uvicorn and SQLAlchemy.

Promises the same accounts, facts and closed loop for both, a key of its own for each call, and turns in one run. The
peer itself stands in `tests/house/default_stack.py`, for it calls the domain as any code of its own would.
"""

import json
import random
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from loadtests import bodies, http1, wire
from loadtests.peers import process, turns

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
    """Measure both in turns; gives lines of the figures."""
    rng = random.Random(12)
    with (
        tempfile.TemporaryDirectory(prefix="holdline-peer-") as folder,
        process.running("tests.house.default_stack", str(Path(folder) / "peer.db")) as (peer, _),
    ):
        http1.each_once(peer, "/decide", _bodies(rng, "ASSIGN", iter(range(ACCOUNTS_ASKED))))

        def ask() -> wire.Run:
            asked = _bodies(rng, "REVIEW", iter(lambda: rng.randrange(ACCOUNTS_ASKED), -1))
            return http1.closed_loop(peer, "/decide", asked, turns.IN_FLIGHT, seconds)

        return turns.lines(listen, "FastAPI, SQLAlchemy, SQLite", ask, seconds, rounds)
