"""A store of an earlier schema is brought up, with everything that it holds; one that is not is refused to readers."""

from pathlib import Path

import apsw
import msgspec
import pytest

from service.domain.account import UNBOUNDED, Growth
from service.domain.decision import Decided
from service.engine.replay import replay
from service.storage.migrate import StoreRefused
from service.storage.verify import verify
from tests.builders import Bench, command, sqlite

FIRST_SCHEMA = 1
LATER_TABLES = (
    "activations", "activation_changes", "outbox", "engines", "growth", "baselines", "postings", "holds",
    "entitlements", "runs", "run_shards", "budget_slices", "closings", "discrepancies", "events",
    "cases", "case_changes", "voices", "seals",
)  # fmt: skip
LATER_COLUMNS = (
    ("accounts", "holds"), ("accounts", "last_posting"), ("accounts", "postings_chain"),
    ("decisions", "promised_minor"), ("accounts", "behaviour"),
    ("accounts", "temporary"), ("decisions", "temporary"),
)  # fmt: skip


def _taken_back(path: Path) -> None:
    """Make a store what it was before the second migration."""
    connection = apsw.Connection(str(path))
    for table in LATER_TABLES:
        connection.execute(f"DROP TABLE {table}")
    for table, column in LATER_COLUMNS:
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.execute(f"PRAGMA user_version = {FIRST_SCHEMA}")
    connection.close()


def test_a_store_from_before_playbooks_keeps_its_decisions_and_takes_activations(tmp_path: Path) -> None:
    path = tmp_path / "holdline.db"
    before = Bench(sqlite(path))
    (made,) = before.execute(command())
    before.store.close()
    _taken_back(path)
    with pytest.raises(StoreRefused):
        sqlite(path, read_only=True)

    bench = Bench(sqlite(path))
    (replayed,) = bench.execute(command())
    bench.order("activate", "k", playbook="freeze_raises")
    (held,) = bench.execute(command(request_id="r-2", account_id="a-2"))

    assert isinstance(made, Decided)
    assert replayed == made._replace(replayed=True)
    assert isinstance(held, Decided)
    assert held.decision.activations == ("A1@freeze_raises/v1",)
    store = sqlite(path, read_only=True)
    assert verify(store).faults == ()
    assert replay(store, bench.control).decisions == 2


def test_growth_from_before_there_was_a_budget_reads_as_unbounded() -> None:
    written = msgspec.msgpack.encode((1, 2, 3, 4, 5))

    assert msgspec.msgpack.decode(written, type=Growth) == Growth(1, 2, 3, 4, 5, UNBOUNDED)
