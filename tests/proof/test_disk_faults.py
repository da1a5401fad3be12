"""The N-th write and the N-th sync fail, N = 1, 2, … until none fires (SQLite's own method).

Goal: no acknowledged decision is lost, no refused one is made, nothing is half written, and the store goes on when the
disk does. Method: a real VFS under SQLite whose call returns an error; after each run the store is opened again on a
whole disk and held against what was told.
"""

from pathlib import Path

import apsw
import pytest

from service.domain.decision import Decided
from service.domain.errors import StoreUnavailable
from service.storage.sqlite.store import SqliteStore
from service.storage.verify import verify
from tests.builders import Bench, command, sqlite
from tests.proof.failing_disk import VFS_NAME, Plan, failing_disk

BATCHES = 6
RUNS_MAX = 80


def _run(folder: Path, plan: Plan, sort: str, nth: int, *, is_for_good: bool, error: type[apsw.Error]) -> int:
    """Run batches over a disk that fails at the n-th call; gives how often it did."""
    folder.mkdir()
    bench = Bench(sqlite(folder / "holdline.db", vfs=VFS_NAME))
    plan.fail(sort, nth, is_for_good=is_for_good, error=error)
    acknowledged: dict[str, int] = {}
    refused: set[str] = set()
    for batch in range(BATCHES):
        names = [f"{batch}-{number}" for number in range(5)]
        answers = bench.execute(*(command(request_id=name, account_id=f"a-{name}") for name in names))
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, Decided):
                acknowledged[name] = answer.decision.number
            else:
                assert isinstance(answer, StoreUnavailable)
                refused.add(name)
    fired = plan.fired
    plan.heal()
    for name in sorted(refused):
        answer = bench.execute(command(request_id=name, account_id=f"a-{name}"))[0]
        assert isinstance(answer, Decided), "the store goes on when the disk does"
        assert not answer.replayed, "what was refused with STORE_UNAVAILABLE had not been written"
        acknowledged[name] = answer.decision.number
    bench.store.close()
    _hold_against(folder / "holdline.db", acknowledged)
    return fired


def _hold_against(path: Path, acknowledged: dict[str, int]) -> None:
    store = sqlite(path)
    found = verify(store)
    assert found.faults == ()
    assert found.decisions == len(acknowledged)
    for name, number in acknowledged.items():
        stored = store.decision(number)
        assert stored is not None
        assert stored.decision.request_id == name
    store.close()


@pytest.mark.parametrize("sort", ["write", "sync"])
@pytest.mark.parametrize("is_for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError, apsw.ReadOnlyError], ids=["EIO", "ENOSPC", "EROFS"])
def test_the_nth_call_fails_and_nothing_is_lost_doubled_or_half_written(
    tmp_path: Path, sort: str, is_for_good: bool, error: type[apsw.Error]
) -> None:
    with failing_disk() as plan:
        fired = [
            _run(tmp_path / str(nth), plan, sort, nth, is_for_good=is_for_good, error=error)
            for nth in _until_none_fires(tmp_path, plan, sort)
        ]

    assert sum(count > 0 for count in fired) >= BATCHES
    assert fired[-1] == 0


def _until_none_fires(folder: Path, plan: Plan, sort: str) -> range:
    """Count the calls of a healthy run, so that the last run lies beyond them."""
    plan.fail(sort, 1_000_000, is_for_good=False, error=apsw.IOError)
    (folder / "healthy").mkdir()
    bench = Bench(sqlite(folder / "healthy" / "holdline.db", vfs=VFS_NAME))
    plan.fail(sort, 1_000_000, is_for_good=False, error=apsw.IOError)
    for batch in range(BATCHES):
        bench.execute(*(command(request_id=f"{batch}-{n}", account_id=f"a-{batch}-{n}") for n in range(5)))
    calls = 1_000_000 - plan.remaining
    bench.store.close()
    plan.heal()
    step = max(calls // RUNS_MAX, 1)
    return range(1, calls + step + 2, step)


def test_a_store_that_is_opened_read_only_takes_no_write(tmp_path: Path) -> None:
    Bench(sqlite(tmp_path / "holdline.db")).store.close()
    store = sqlite(tmp_path / "holdline.db", read_only=True)

    with pytest.raises(StoreUnavailable):
        store.begin()
    assert verify(store).faults == ()


def test_a_read_while_the_store_cannot_be_opened_anew_is_unavailable_and_the_next_ones_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing_disk() as plan:
        bench = Bench(sqlite(tmp_path / "holdline.db", vfs=VFS_NAME))
        bench.execute(command())

        def refuses(_: SqliteStore) -> apsw.Connection:
            raise apsw.CantOpenError("no file can be opened")

        plan.fail("write", 1, is_for_good=False, error=apsw.IOError)
        monkeypatch.setattr(SqliteStore, "_open", refuses)
        refused = bench.execute(command(request_id="r-2", account_id="a-2"))[0]
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                bench.store.account("a-1")
        monkeypatch.undo()
        # The first read after that opens the store anew, and says so with the same refusal.
        with pytest.raises(StoreUnavailable):
            bench.store.account("a-1")
        found = bench.store.account("a-1")
        bench.store.close()

    assert isinstance(refused, StoreUnavailable)
    assert found is not None
