"""A store of an earlier schema is brought up, with everything that it holds; one that is not is refused to readers."""

from pathlib import Path

import apsw
import msgspec
import pytest

from service.domain.account import UNBOUNDED, Growth, known
from service.domain.activation import Approval
from service.domain.behaviour import Event, EventKind
from service.domain.case import Case, CaseChange, CaseState
from service.domain.daily_run import Closing, ClosingState
from service.domain.decision import Decided, Kind
from service.domain.event import TAKEN, EventCommand
from service.domain.facts import INDEX, Profile
from service.domain.rules import FIRST
from service.domain.watch import Baseline
from service.engine.replay import replay
from service.storage import rows_before
from service.storage.sqlite import migrate, seals
from service.storage.sqlite.migrate import StoreRefused
from service.storage.verify import verify
from tests.builders import DAY_US, GOOD_FACTS, NOW_US, TODAY, Bench, command, news, sqlite
from tests.old_store import take_back

FIRST_SCHEMA = 1
LATER_TABLES = (
    "activations", "activation_changes", "outbox", "engines", "growth", "baselines", "postings", "holds",
    "entitlements", "runs", "run_shards", "budget_slices", "closings", "discrepancies", "events",
    "cases", "case_changes", "voices", "clock", "clock_changes", "seals", "acts",
)  # fmt: skip
LATER_COLUMNS = (
    ("accounts", "holds"), ("accounts", "last_posting"), ("accounts", "postings_chain"),
    ("decisions", "promised_minor"), ("accounts", "behaviour"),
    ("accounts", "temporary"), ("decisions", "temporary"), ("decisions", "rules"), ("accounts", "limit_since_day"),
)  # fmt: skip
LATER_INDEXES = ("idempotency_keys_beside",)


def _taken_back(path: Path) -> None:
    """Make a store of decisions what it was before the second migration."""
    take_back(path)
    connection = apsw.Connection(str(path))
    kept = list(
        connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'decisions'")
    )
    for name, _ in kept:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE decisions SET rules = ?", (FIRST,))
    links: dict[str, bytes] = {}
    found = connection.execute("SELECT * FROM decisions ORDER BY number")
    names = [name for name, _ in found.get_description()]
    for row in found.fetchall():
        columns = dict(zip(names, row, strict=True))
        number, account_id = columns["number"], str(columns["account_id"])
        del columns["chain"]
        links[account_id] = rows_before.decision_link(links.get(account_id, b""), tuple(columns.values()))
        connection.execute("UPDATE decisions SET chain = ? WHERE number = ?", (links[account_id], number))
    for account_id, link in links.items():
        connection.execute("UPDATE accounts SET chain = ? WHERE account_id = ?", (link, account_id))
    for _, script in kept:
        connection.execute(script)
    for table in LATER_TABLES:
        connection.execute(f"DROP TABLE {table}")
    for index in LATER_INDEXES:
        connection.execute(f"DROP INDEX {index}")
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
    assert replayed == made._replace(decision=made.decision._replace(rules=FIRST), replayed=True)
    assert isinstance(held, Decided)
    assert held.decision.activations == ("A1@freeze_raises/v1",)
    store = sqlite(path, read_only=True)
    assert verify(store).faults == ()
    assert replay(store, bench.control).decisions == 2


def test_a_store_from_before_knows_since_when_each_account_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "holdline.db"
    store = sqlite(path)
    before = Bench(store)
    taken_over = command(
        Kind.IMPORT,
        request_id="i-1",
        account_id="i-1",
        product="revolving",
        import_limit_minor=1,
        import_currency="CNY",
    )
    poor = news(**{**GOOD_FACTS, "identity_level": 0})
    before.execute(command(), taken_over, command(request_id="late-0", account_id="late", news=poor))
    before.clock.time_us += DAY_US
    before.execute(
        command(request_id="late-1", account_id="late"),
        command(Kind.RAISE, request_id="raise"),
        command(request_id="never", account_id="never", news=poor),
    )
    found = {account.account_id: account.limit_since_day for account in store.accounts()}
    store.close()
    _taken_back(path)

    after = {account.account_id: account.limit_since_day for account in sqlite(path).accounts()}

    assert found == after == {"a-1": TODAY, "i-1": 0, "late": TODAY + 1, "never": 0}


def test_growth_from_before_there_was_a_budget_reads_as_unbounded() -> None:
    written = msgspec.msgpack.encode((1, 2, 3, 4, 5))

    assert msgspec.msgpack.decode(written, type=Growth) == Growth(1, 2, 3, 4, 5, UNBOUNDED)


def test_what_events_left_before_times_counted_is_read_and_goes_on_growing(tmp_path: Path) -> None:
    path = tmp_path / "holdline.db"
    before = Bench(sqlite(path))
    before.execute(command())
    before.store.close()
    day = TODAY - 40
    # A statement of the 40th day and a payment of the same day, by day only; forty on-time statements before them.
    left = [TODAY - 700, NOW_US, NOW_US, [], [], [], [], [[TODAY - 20, day, 100, 0, False]], [[day, 100]], 40]
    connection = apsw.Connection(str(path))
    content = msgspec.msgpack.encode([*left, False, False, False])
    connection.execute("UPDATE accounts SET behaviour = ?", (content,))
    connection.close()

    bench = Bench(sqlite(path))
    read = _known(bench)
    repaid = Event(EventKind.REPAYMENT, NOW_US, TODAY, 1)
    taken = bench.execute(EventCommand("feed", "e-1", "a-1/e-1", b"e", "a-1", repaid, "CNY", (), ""))

    assert taken == [TAKEN]
    assert _known(bench).values == read.values
    assert read.values[INDEX["dpd_now"]] == 0
    assert read.values[INDEX["late_months_12m"]] == 0
    # Forty statements, of which there is no telling but that they fell due within eleven months; and a later one.
    assert read.values[INDEX["on_time_streak_months"]] == 12


def _known(bench: Bench) -> Profile:
    account = bench.store.account("a-1")
    assert account is not None
    return known(account, TODAY)


def _migrate_alone(connection: apsw.Connection, wanted: int) -> None:
    """Run one migration by itself, so that what later ones have made stays."""
    (script,) = (text for number, text in migrate.migrations() if number == wanted)
    connection.execute(script)
    seals.seal_anew(connection)


def test_a_store_from_before_approvals_had_a_time_reads_them_from_its_log_of_changes(tmp_path: Path) -> None:
    path = tmp_path / "holdline.db"
    before = Bench(sqlite(path))
    asked = before.order("activate", "a", playbook="read_only")
    free = before.order("activate", "b", playbook="freeze_raises")
    for place, name in enumerate(("ada", "abe"), 1):
        before.clock.time_us += place
        before.order("approve", name, caller=name, number=asked.activation.number, reason="" if place == 1 else "seen")
    before.order("end", "e", number=free.activation.number)
    before.store.begin()
    before.store.playbooks.keep_baseline(Baseline(0, "revolving", NOW_US, 2_000, "holdline:sentry", "{}"))
    before.store.commit()
    before.store.close()
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE activations SET approved_by = '[\"ada\",\"abe\"]' WHERE playbook = 'read_only'")
    connection.execute("DROP INDEX baselines_key")
    for column in ("key", "fingerprint", "reason"):
        connection.execute(f"ALTER TABLE baselines DROP COLUMN {column}")
    _migrate_alone(connection, 24)
    connection.close()

    store = sqlite(path)

    assert [store.playbooks.activation(number) for number in (1, 2)] == [
        asked.activation._replace(
            approvals=(Approval("ada", NOW_US + 1, ""), Approval("abe", NOW_US + 3, "seen")),
            from_us=NOW_US + 3, until_us=NOW_US + 3 + asked.activation.ttl_seconds * 1_000_000,
        ),
        free.activation._replace(ended_us=NOW_US + 3, ended_by="olga"),
    ]  # fmt: skip
    assert store.playbooks.baselines() == [Baseline(1, "revolving", NOW_US, 2_000, "holdline:sentry", "{}")]
    assert verify(store).faults == ()


def test_what_people_said_and_when_days_were_closed_survives_the_way_up(tmp_path: Path) -> None:
    path = tmp_path / "holdline.db"
    store = sqlite(path)
    store.begin()
    asked = Case(
        0, "a", 1, CaseState.AWAITING_SECOND, "please", (), "care", 1, 2, 0, 900, "rita", note="the bank erred"
    )
    case = store.cases.enter(asked)
    for at, action in enumerate(("submit F1", "awaiting_second", "awaiting_second"), start=1):
        store.cases.enter_change(CaseChange(f"k/{at}", b"x", case.number, action, "rita", at))
    store.runs.enter_closing(Closing(TODAY, ClosingState.CLOSED, "olga", 1, 2, "~", "", 0, 3, (), ""))
    store.commit()
    store.close()
    take_back(path)
    connection = apsw.Connection(str(path))
    connection.execute("DROP TABLE acts; DROP INDEX case_changes_of_case")
    for table, column in (
        ("closings", "closed_us"), ("closings", "making_good_by"), ("closings", "making_good_us"),
        ("case_changes", "note"), ("case_changes", "limit_minor"),
    ):  # fmt: skip
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    _migrate_alone(connection, 26)
    connection.close()

    store = sqlite(path)
    words = store.cases.words(case.number, 0, 9)
    closing = store.runs.closing(TODAY)

    assert [(one.key, one.note, one.limit_minor) for one in words] == [("k/2", "", 0), ("k/3", "the bank erred", 900)]
    assert store.cases.words(case.number, 1, 9) == words[1:]
    assert closing is not None
    assert (closing.closed_us, closing.making_good_by, closing.making_good_us) == (2, "", 0)
    assert store.damage() == []
    store.close()
