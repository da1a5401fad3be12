"""A store of the version before is brought up in slices, beside its traffic; whatever ends a slice leaves it whole.

The version before is its own writer (storage/rows_before.py) over its own migrations (tests/old_store.py).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import apsw
import pytest

from service.domain.behaviour import Event, EventKind
from service.domain.decision import Decided, Decision, Kind
from service.domain.draw import DrawKind, Posted, Posting
from service.domain.errors import StoreUnavailable
from service.domain.event import EventCommand
from service.domain.explain import explain
from service.domain.facts import ERASED
from service.engine.replay import replay
from service.storage.sqlite import before, moving
from service.storage.sqlite.store import SqliteStore
from service.storage.verify import verify
from tests.builders import NOW_US, TODAY, Bench, StillClock, command, draw, sqlite
from tests.old_store import take_back
from tests.proof.crash import left_by_a_kill

ACCOUNTS = ("a-1", "a-2", "a-3", "a-4", "a-5")
COMMANDS = [
    one
    for name in ACCOUNTS
    for one in (
        command(account_id=name, request_id=f"{name}-assign"),
        command(Kind.RAISE, account_id=name, request_id=f"{name}-raise"),
        draw(account_id=name, request_id=f"{name}-draw", amount_minor=50_000),
        command(Kind.REVIEW, account_id=name, request_id=f"{name}-review"),
        draw(DrawKind.REPAY, 0, account_id=name, request_id=f"{name}-repay"),
    )
][:-1]
Records = dict[int, Decision | Posting]


@pytest.fixture(autouse=True)
def _a_slice_is_an_account() -> Iterator[None]:
    with mock.patch.object(moving, "RECORDS_MAX", 1), mock.patch.object(moving, "REST_SECONDS", 0.0):
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a store as the version before has left it."""
    bench = Bench(sqlite(tmp_path / "holdline.db"))
    for one in COMMANDS:
        bench.execute(one)
    bench.order("activate", "k", playbook="freeze_raises")
    bench.order("end", "e", number=1)
    bench.store.close()
    take_back(tmp_path / "holdline.db")
    return tmp_path / "holdline.db"


def _bench(path: Path) -> Bench:
    return Bench(sqlite(path), StillClock(NOW_US + 1_000_000))


def _slices(bench: Bench) -> Iterator[int]:
    """Move slice after slice, and give how many were."""
    store = bench.store
    assert isinstance(store, SqliteStore)
    count = 0
    while store.move_slice():
        count += 1
        yield count


def _records(store: Any) -> Records:
    """Read every record as GetDecision and the lists give it, by each of the ways to it."""
    found: Records = {}
    for name in ACCOUNTS:
        for decided in store.account_decisions(name, 0, 99):
            assert store.decision(decided.decision.number) == decided
            found[decided.decision.number] = decided.decision
        for posted in store.account_postings(name, 0, 99):
            assert store.posting(posted.posting.number) == posted
            found[posted.posting.number] = posted.posting
    decisions = {number: one for number, one in found.items() if isinstance(one, Decision)}
    assert [one.decision.number for one in store.decisions_before(1 << 62, 99)] == sorted(decisions, reverse=True)
    assert [one.number for one in store.looks_after(0, 99)] == sorted(decisions)
    assert [one.number for one in store.looks_before(1 << 62, 3)] == sorted(decisions, reverse=True)[:3]
    assert [sealed.decided.decision for sealed in store.sealed_all()] == [decisions[at] for at in sorted(decisions)]
    assert store.runs.account_count() == len(ACCOUNTS) == len(list(store.accounts()))
    assert store.runs.shard_end("", 3) == ACCOUNTS[2]
    assert [one.account_id for one in store.runs.accounts_after("a-1", "a-4", 2)] == ["a-2", "a-3"]
    assert store.control().last_number == max(found)
    return found


def _assert_whole(path: Path, bench: Bench) -> Any:
    with_own_eyes = sqlite(path, read_only=True)
    assert verify(with_own_eyes).faults == ()
    judged = replay(with_own_eyes, bench.control)
    assert judged.differences == ()
    with_own_eyes.close()
    return judged


def _tables(path: Path) -> set[str]:
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    connection.close()
    return found


def test_what_was_written_before_is_read_decided_on_and_moved_with_traffic_between(path: Path) -> None:
    bench = _bench(path)
    reader = sqlite(path, read_only=True)
    written = _records(bench.store)
    assert len(written) >= 4 * len(ACCOUNTS) - 1
    more: Records = {}
    story = _explained(bench, written)
    for count in _slices(bench):
        # Accounts that were moved, that are next, and that are far from it; once each, and again.
        for name in ACCOUNTS:
            asked = command(Kind.REVIEW, account_id=name, request_id=f"{name}-{count}")
            held = draw(account_id=name, request_id=f"{name}-d{count}", amount_minor=100)
            feed = Event(EventKind.REPAYMENT, NOW_US, TODAY, 1)
            told = EventCommand("feed", f"e-{count}", f"{name}/e-{count}", b"e", name, feed, "CNY", (), "")
            decided, posted, _ = bench.execute(asked, held, told)
            assert isinstance(decided, Decided)
            assert isinstance(posted, Posted)
            assert bench.execute(asked, held) == [decided._replace(replayed=True), posted._replace(replayed=True)]
            more |= {decided.decision.number: decided.decision, posted.posting.number: posted.posting}
        assert _records(bench.store) == written | more == _records(reader)
        for one, again in zip(COMMANDS, bench.execute(*COMMANDS), strict=True):
            record = again.posting if isinstance(again, Posted) else again.decision  # type: ignore[attr-defined]  # one of both.
            assert record == written[record.number]
            assert record.request_id == one.request_id
        _assert_whole(path, bench)

    assert _records(bench.store) == written | more == _records(reader)
    assert _explained(bench, written) == story
    assert not _tables(path) & set(before.TABLES)
    assert not bench.store.move_slice()  # type: ignore[attr-defined]  # a file's.
    assert _assert_whole(path, bench).decisions == sum(isinstance(one, Decision) for one in (written | more).values())
    bench.store.close()
    again = _bench(path)
    assert _records(again.store) == written | more


def _explained(bench: Bench, written: Records) -> list[Any]:
    return [
        explain(one, bench.control.version(bench.store, one.policy_version), bench.control.recorded_mode(bench.store, one.activations))
        for one in written.values()
        if isinstance(one, Decision)
    ]  # fmt: skip


def test_a_kill_between_slices_or_within_one_leaves_every_account_whole(path: Path, tmp_path: Path) -> None:
    bench = _bench(path)
    store = bench.store
    assert isinstance(store, SqliteStore)
    written = _records(store)
    left: list[Path] = []
    run_many = store._run_many

    def killed_after(name: str, many: Any) -> None:
        run_many(name, many)
        left.append(left_by_a_kill(path, tmp_path / f"kill-{len(left)}"))

    with mock.patch.object(store, "_run_many", killed_after):
        for _ in _slices(bench):
            left.append(left_by_a_kill(path, tmp_path / f"kill-{len(left)}"))
    left.append(left_by_a_kill(path, tmp_path / f"kill-{len(left)}"))

    assert len(left) > 3 * len(ACCOUNTS)
    for copy in left:
        after = _bench(copy)
        assert _records(after.store) == written
        _assert_whole(copy, after)
        for _ in _slices(after):
            pass
        assert _records(after.store) == written
        assert not _tables(copy) & set(before.TABLES)
        _assert_whole(copy, after)
        after.store.close()


def test_a_slice_that_fails_anywhere_is_tried_again(path: Path) -> None:
    bench = _bench(path)
    store = bench.store
    assert isinstance(store, SqliteStore)
    written = _records(store)
    run_many = store._run_many
    writes = 0

    def failing(name: str, many: Any) -> None:
        nonlocal writes
        writes += 1
        if writes % 2:
            raise StoreUnavailable(kind="Test")
        writes += 1
        run_many(name, many)

    failed = 0
    while store.is_left_to_move:
        with mock.patch.object(store, "_run_many", run_many if failed % 2 else failing):
            try:
                store.move_slice()
                failed = 0
            except StoreUnavailable:
                failed += 1
        assert _records(store) == written

    assert not _tables(path) & set(before.TABLES)
    _assert_whole(path, bench)


@pytest.mark.parametrize(
    ("sql", "fault", "left"),
    [
        ("UPDATE decisions_before SET caller = 'x' WHERE account_id = 'a-2' AND kind = 2", "altered", 1),
        ("DELETE FROM decisions_before WHERE account_id = 'a-2' AND kind = 2", "missing", 1),
        ("UPDATE postings_before SET amount_minor = 1 WHERE account_id = 'a-2'", "altered", 1),
        ("UPDATE accounts_before SET chain = x'00' WHERE account_id = 'a-2'", "ends elsewhere", 1),
        ("UPDATE accounts_before SET limit_minor = 1 WHERE account_id = 'a-2'", "does not follow", 1),
        ("UPDATE accounts_before SET profile = x'c0' WHERE account_id = 'a-2'", "can't be read", 1),
        ("UPDATE accounts_before SET limit_since_day = 1 WHERE account_id = 'a-2'", "accounts_before: a row", 0),
    ],
)
def test_damage_is_never_moved_clean(path: Path, sql: str, fault: str, left: int) -> None:
    sqlite(path).close()
    connection = apsw.Connection(str(path))
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(sql)
    connection.close()
    bench = _bench(path)

    for _ in _slices(bench):
        pass

    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("SELECT count(*) FROM accounts_before").get == left
    assert connection.execute("SELECT count(*) FROM accounts").get == len(ACCOUNTS) - left
    connection.close()
    found = sqlite(path, read_only=True)
    assert any(fault in one for one in verify(found).faults)
    found.close()


def _facts_erased(path: Path, account_id: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE decisions SET facts = NULL WHERE account_id = ?", (account_id,))
    connection.close()


def test_erased_facts_leave_the_chain_whole_and_are_not_judged_again(path: Path) -> None:
    bench = _bench(path)
    for _ in _slices(bench):
        pass
    bench.store.close()

    _facts_erased(path, "a-3")

    after = _bench(path)
    judged = _assert_whole(path, after)
    erased = after.store.account_decisions("a-3", 0, 99)
    assert judged.erased == len(erased) == 3
    assert all(one.decision.profile is ERASED for one in erased)
    assert _explained(after, {one.decision.number: one.decision for one in erased})
    (made,) = after.execute(command(Kind.REVIEW, account_id="a-3", request_id="later"))
    assert isinstance(made, Decided)
    assert _assert_whole(path, after).erased == 3


def test_readers_beside_the_writer_have_gone_on_before_the_tables_are_dropped(path: Path) -> None:
    bench = _bench(path)
    store = bench.store
    assert isinstance(store, SqliteStore)
    written = _records(store)
    busy, idle = sqlite(path, read_only=True), sqlite(path, read_only=True)
    assert _records(busy) == _records(idle) == written
    with mock.patch.object(moving, "REST_SECONDS", 60.0):
        for _ in _slices(bench):
            pass
    assert set(before.TABLES) <= _tables(path)
    assert _records(busy) == written

    store._drops_at = 1e-9
    assert not store.move_slice()

    assert not set(before.TABLES) & _tables(path)
    assert _records(busy) == _records(idle) == _records(store) == written


def test_a_reader_misses_nothing_whatever_moves_between_its_statements(path: Path) -> None:
    bench = _bench(path)
    written = _records(bench.store)
    first = min(written)
    reader = sqlite(path, read_only=True)
    run = reader._run

    def moving_on(sql: str, bindings: Any = ()) -> list[Any]:
        found = run(sql, bindings)
        for _ in _slices(bench):
            pass
        return found

    with mock.patch.object(moving, "REST_SECONDS", 60.0), mock.patch.object(reader, "_run", moving_on):
        reader._before = before.SqliteBefore(moving_on, reader._run_many)
        decided = reader.decision(first)

    assert decided is not None
    assert decided.decision == written[first]
