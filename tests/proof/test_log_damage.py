"""What was committed is told from a torn tail: a damaged, missing or foreign log never lets a decision be made anew.

Goal: whatever happens to the files of a killed server, it starts with every acknowledged decision or says why it
doesn't. Method: the files as a kill leaves them, then each region of the log flipped, cut off, taken away or exchanged.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from service.domain.decision import Decided
from service.storage.sqlite.commit_number import mark_path
from service.storage.sqlite.migrate import StoreDamaged, StoreRefused
from service.storage.sqlite.store import SqliteStore
from service.storage.verify import verify
from tests.builders import Bench, command, sqlite

BATCHES = 5
FRAME = 4096 + 24


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the files of a server that was killed after so many acknowledged decisions, one a commit."""
    folder = tmp_path_factory.mktemp("log")
    (folder / "live").mkdir()
    bench = Bench(sqlite(folder / "live" / "holdline.db"))
    for number in range(BATCHES):
        (made,) = bench.execute(command(request_id=f"r-{number}", account_id=f"a-{number}"))
        assert isinstance(made, Decided)
    _copy(folder / "live", folder / "killed")
    bench.store.close()
    return folder / "killed" / "holdline.db"


def _copy(source: Path, target: Path) -> Path:
    target.mkdir()
    for file in source.iterdir():
        if file.is_file() and not file.name.endswith("-shm"):
            shutil.copy(file, target / file.name)
    return target / "holdline.db"


def _log(path: Path) -> Path:
    return Path(f"{path}-wal")


def _decisions(path: Path) -> int:
    """Count what a server that starts finds; raises StoreDamaged where it refuses to."""
    store = sqlite(path)
    try:
        return store.decision_count()
    finally:
        store.close()


def _flips(path: Path) -> Iterator[int]:
    """Give a place in each part of the log: its header, and of every frame the header, the start, middle and end."""
    yield from range(0, 32, 4)
    size = _log(path).stat().st_size
    for frame in range(32, size, FRAME):
        yield from (frame + 3, frame + 9, frame + 17, frame + 24 + 70, frame + 2_000)


def test_a_flipped_bit_anywhere_in_the_log_loses_nothing_in_silence(killed: Path, tmp_path: Path) -> None:
    lost = []
    refused = 0
    for place in _flips(killed):
        path = _copy(killed.parent, tmp_path / str(place))
        content = bytearray(_log(path).read_bytes())
        content[place] ^= 0x10
        _log(path).write_bytes(content)
        try:
            if _decisions(path) != BATCHES:
                lost.append(place)
        except StoreDamaged:
            refused += 1
        shutil.rmtree(path.parent)

    assert lost == []
    assert refused > 0


def test_without_its_mark_only_the_last_commit_can_pass_for_a_torn_tail(killed: Path, tmp_path: Path) -> None:
    """A power cut may leave an older mark or none; then the last commit alone can't be told from one in the making."""
    short = []
    for place in _flips(killed):
        path = _copy(killed.parent, tmp_path / str(place))
        mark_path(path).unlink()
        content = bytearray(_log(path).read_bytes())
        content[place] ^= 0x10
        _log(path).write_bytes(content)
        with contextlib.suppress(StoreDamaged):
            short.append(BATCHES - _decisions(path))
        shutil.rmtree(path.parent)

    assert set(short) <= {0, 1}


def test_a_torn_tail_that_was_never_acknowledged_is_dropped(killed: Path, tmp_path: Path) -> None:
    path = _copy(killed.parent, tmp_path / "torn")
    with _log(path).open("ab") as log:
        # As after a kill within a write: a frame of the present log, cut off.
        log.write(_log(path).read_bytes()[32 : 32 + FRAME // 2])

    assert _decisions(path) == BATCHES


def _unlinked(path: Path, _: Path) -> None:
    _log(path).unlink()


def _cut_off(path: Path, _: Path) -> None:
    content = _log(path).read_bytes()
    _log(path).write_bytes(content[: 32 + FRAME * ((len(content) - 32) // FRAME // 2)])


def _emptied(path: Path, _: Path) -> None:
    _log(path).write_bytes(b"")


def _older_copy(path: Path, older: Path) -> None:
    shutil.copy(older, path)


def _older_log(path: Path, older: Path) -> None:
    shutil.copy(_log(older), _log(path))


def _older_log_and_no_mark(path: Path, older: Path) -> None:
    # The file itself is whole; the log of an earlier life would take it back.
    sqlite(path).close()
    _older_log(path, older)
    mark_path(path).unlink()


@pytest.mark.parametrize(
    "harm", [_unlinked, _cut_off, _emptied, _older_log, _older_log_and_no_mark, _older_copy],
    ids=lambda harm: harm.__name__.strip("_"),
)  # fmt: skip
@pytest.mark.parametrize("is_read_only", [False, True], ids=["server", "verify"])
def test_a_log_that_is_missing_short_or_of_another_time_is_refused_and_left_as_it_is(
    killed: Path, tmp_path: Path, harm: Callable[[Path, Path], None], is_read_only: bool
) -> None:
    older = tmp_path / "older" / "holdline.db"
    older.parent.mkdir()
    bench = Bench(sqlite(older))
    bench.execute(command(request_id="r-0", account_id="a-0"))
    _copy(older.parent, tmp_path / "older-killed")
    bench.store.close()
    path = _copy(killed.parent, tmp_path / "harmed")
    harm(path, tmp_path / "older-killed" / "holdline.db")
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}

    with pytest.raises(StoreDamaged, match=r"holdline\.db"):
        sqlite(path, read_only=is_read_only)

    after = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
    assert {name: after[name] for name in before} == before


def test_a_later_log_beside_an_earlier_copy_is_refused(tmp_path: Path) -> None:
    """Commits between the copy and the beginning of the log are nowhere."""
    path = tmp_path / "live" / "holdline.db"
    path.parent.mkdir()
    Bench(sqlite(path)).store.close()
    early = path.read_bytes()
    for life in range(2):
        bench = Bench(sqlite(path))
        bench.execute(command(request_id=f"r-{life}", account_id=f"a-{life}"))
        left = _copy(path.parent, tmp_path / f"left-{life}")
        bench.store.close()
    left.write_bytes(early)
    mark_path(left).unlink()

    with pytest.raises(StoreDamaged, match="not the log of"):
        sqlite(left)


def test_a_copy_is_whole_without_a_log_and_a_closed_store_is_one_file(killed: Path, tmp_path: Path) -> None:
    path = _copy(killed.parent, tmp_path / "live")
    store = sqlite(path)
    store.copy_to(tmp_path / "copy.db")
    store.close()
    shutil.copy(path, tmp_path / "alone.db")

    for found in (tmp_path / "copy.db", tmp_path / "alone.db"):
        assert _decisions(found) == BATCHES


def test_a_zeroed_page_is_named_as_damage(killed: Path, tmp_path: Path) -> None:
    path = _copy(killed.parent, tmp_path / "live")
    sqlite(path).close()
    whole = path.read_bytes()
    # Pages that no table and no index uses hold nothing.
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    used = [number for (number,) in connection.execute("SELECT pageno FROM dbstat WHERE pageno > 1")]
    connection.close()
    for page in used[::3]:
        path.write_bytes(whole[: (page - 1) * 4096] + bytes(4096) + whole[page * 4096 :])
        store = sqlite(path, read_only=True)
        faults = verify(store).faults
        store.close()
        assert faults, f"page {page}"
    path.write_bytes(bytes(4096) + whole[4096:])
    with pytest.raises(StoreRefused):
        sqlite(path, read_only=True)


def test_a_verify_beside_a_writer_sees_no_damage_in_what_is_being_written(tmp_path: Path) -> None:
    bench = Bench(sqlite(tmp_path / "holdline.db"))
    for number in range(20):
        bench.execute(command(request_id=f"r-{number}", account_id=f"a-{number}"))
        reader: SqliteStore = sqlite(tmp_path / "holdline.db", read_only=True)
        assert verify(reader).faults == ()
        reader.close()
    bench.store.close()


def test_numbers_begin_anew_after_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "holdline.db"
    Bench(sqlite(path)).store.close()
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA application_id = {(1 << 31) - 3}")
    connection.close()
    mark_path(path).unlink()
    for life in range(3):
        bench = Bench(sqlite(path))
        bench.execute(command(request_id=f"r-{life}", account_id=f"a-{life}"))
        left = _copy(path.parent, tmp_path / f"left-{life}")
        bench.store.close()
        assert _decisions(left) == life + 1
