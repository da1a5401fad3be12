"""`holdline verify` sees what was altered behind the server's back."""

from pathlib import Path

import apsw
import pytest

from service import bootstrap
from service.domain.decision import Kind
from service.domain.draw import DrawKind, Posted
from service.domain.facts import NOTHING_KNOWN
from service.engine.replay import replay
from service.storage import records
from service.storage.sqlite.migrate import StoreRefused
from service.storage.sqlite.store import has_wal_reset_bug
from service.storage.verify import verify
from tests.altering import altering
from tests.builders import Bench, command, draw, sqlite

NOTHING = records.facts_bytes(NOTHING_KNOWN)
OPEN_THE_LOG = "".join(
    f"DROP TRIGGER {log}_never_change; DROP TRIGGER {log}_never_vanish;" for log in ("decisions", "postings")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    bench = Bench(sqlite(tmp_path / "holdline.db"))
    bench.execute(command(), *(command(Kind.REVIEW, request_id=f"r{number}") for number in range(5)))
    bench.execute(command(Kind.RAISE, request_id="raise"))
    (held,) = bench.execute(draw(amount_minor=50_000))
    assert isinstance(held, Posted)
    bench.execute(draw(DrawKind.CAPTURE, 20_000, request_id="d-2", hold_number=held.posting.number))
    bench.store.close()
    return tmp_path / "holdline.db"


def _alter(path: Path, sql: str) -> tuple[str, ...]:
    connection = altering(str(path))
    connection.execute(OPEN_THE_LOG + sql)
    connection.close()
    store = sqlite(path, read_only=True)
    faults = verify(store).faults
    store.close()
    return faults


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        (
            "UPDATE accounts SET record = altered('account', record, 'limit_minor', field('account', record, 'limit_minor') + 1)",
            "limit",
        ),
        (
            "UPDATE accounts SET record = altered('account', record, 'version', field('account', record, 'version') + 1)",
            "version",
        ),
        (
            "UPDATE decisions SET record = altered('decision', record, 'reasons', 'OTHER') WHERE field('decision', record, 'account_version') = 3",
            "altered",
        ),
        (
            "UPDATE decisions SET record = altered('decision', record, 'new_limit_minor', 1) WHERE field('decision', record, 'account_version') = 6",
            "altered",
        ),
        (
            "UPDATE decisions SET record = altered('decision', record, 'caller', 'other') WHERE field('decision', record, 'account_version') = 1",
            "without their decision",
        ),
        ("DELETE FROM decisions WHERE field('decision', record, 'account_version') = 2", "missing"),
        (
            "UPDATE accounts SET record = altered('account', record, 'last_decision', 0); UPDATE accounts SET record = altered('account', record, 'version', 0); UPDATE accounts SET record = altered('account', record, 'limit_minor', 0)",
            "belong to no account",
        ),
        ("UPDATE decisions SET facts = x'00' WHERE field('decision', record, 'account_version') = 3", "can't be read"),
        (
            f"UPDATE decisions SET facts = x'{NOTHING.hex()}' WHERE field('decision', record, 'account_version') = 3",
            "altered",
        ),
        ("UPDATE decisions SET account_id = 'other' WHERE field('decision', record, 'account_version') = 3", "missing"),
        ("INSERT INTO idempotency_keys VALUES ('x/y', 1)", "without their decision"),
        ("UPDATE entitlements SET decision = 1", "without a decision"),
        ("UPDATE entitlements SET business_day = 1", "without a decision"),
        ("UPDATE accounts SET record = altered('account', record, 'outstanding_minor', 0)", "outstanding"),
        ("UPDATE accounts SET record = altered('account', record, 'held_minor', 0)", "sum of its holds"),
        ("UPDATE holds SET captured_minor = 0", "differs from its record"),
        (
            "UPDATE postings SET record = altered('posting', record, 'amount_minor', 1) WHERE field('posting', record, 'kind') = 1",
            "altered",
        ),
        ("DELETE FROM postings WHERE field('posting', record, 'kind') = 1", "missing"),
        (
            "UPDATE accounts SET record = altered('account', record, 'last_posting', 0); UPDATE accounts SET record = altered('account', record, 'outstanding_minor', 0)",
            "belong to no account",
        ),
    ],
)
def test_an_altered_store_is_found_out(path: Path, sql: str, fault: str) -> None:
    assert any(fault in line for line in _alter(path, sql))


def test_the_log_refuses_to_be_altered(path: Path) -> None:
    connection = apsw.Connection(str(path))

    for sql in ("UPDATE decisions SET account_id = 'x'", "UPDATE decisions SET facts = x'00'", "DELETE FROM decisions"):
        with pytest.raises(apsw.ConstraintError):
            connection.execute(sql)


def test_replay_finds_a_decision_that_its_policy_would_not_make(path: Path) -> None:
    connection = altering(str(path))
    connection.execute(
        OPEN_THE_LOG
        + "UPDATE decisions SET record = altered('decision', record, 'new_limit_minor', 77) WHERE field('decision', record, 'account_version') = 1"
    )
    connection.close()
    store = sqlite(path, read_only=True)

    differences = replay(store, bootstrap.make_control()).differences

    assert len(differences) == 1
    assert "77" in differences[0]


def test_a_second_writer_is_refused(path: Path) -> None:
    store = sqlite(path)

    with pytest.raises(StoreRefused, match="another engine"):
        sqlite(path)
    store.close()
    sqlite(path).close()


def test_a_newer_schema_is_refused(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 999")
    connection.close()

    with pytest.raises(StoreRefused, match="newer build"):
        sqlite(path)


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [("3.40.1", True), ("3.44.5", True), ("3.44.6", False), ("3.50.6", True), ("3.50.7", False), ("3.51.2", True),
     ("3.51.3", False), ("3.54.1", False)],
)  # fmt: skip
def test_a_sqlite_that_can_lose_commits_is_known_by_its_version(version: str, is_affected: bool) -> None:
    assert has_wal_reset_bug(version) is is_affected
