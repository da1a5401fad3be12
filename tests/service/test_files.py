"""A server's files: one writer whatever they are called, noticed when they are taken away, for their owner alone."""

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from holdline.client import Client, HoldlineError, Retry, Unavailable

from service import bootstrap
from service.exit_codes import NOT_HERE
from service.local_server import Server, running_server
from service.storage.opening import open_ledger
from service.storage.verify import verify
from tests.proof.journal import wait_until
from tests.service.command_line import invoked
from tests.service.wire import assign

ONCE = Retry(attempts_max=1)


def _serve(store: Path, *arguments: str, **said: object) -> subprocess.CompletedProcess[str]:
    """Run a server that is not expected to serve; gives how it ended and what it logged."""
    command = [sys.executable, "-m", "service.cli.main", "serve", "--store", f"sqlite:///{store}"]
    command += ["--listen", "127.0.0.1:0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **said)  # type: ignore[call-overload,no-any-return]  # as the caller says.


def _acknowledged(server: Server, count: int) -> list[str]:
    with Client(server.listen, retry=ONCE) as client:
        return [client.send(assign()).decision.decision_id for _ in range(count)]


def _stored(path: Path) -> set[str]:
    with open_ledger(f"sqlite:///{path}", bootstrap.now_us) as ledger:
        assert verify(ledger).faults == ()
        return {f"{sealed.decided.decision.number:016x}" for sealed in ledger.sealed_all()}


def _link(path: Path) -> Path:
    other = path.with_name("hard.db")
    os.link(path, other)
    return other


def _symlink(path: Path) -> Path:
    other = path.with_name("soft.db")
    other.symlink_to(path)
    return other


def _same(path: Path) -> Path:
    for file in path.parent.glob("*.lock"):
        file.unlink()
    return path


@pytest.mark.parametrize("named", [_link, _symlink, _same])
def test_a_second_server_is_refused_whatever_the_file_is_called(tmp_path: Path, named: Callable[[Path], Path]) -> None:
    path = tmp_path / "holdline.db"
    with running_server(tmp_path) as server:
        made = _acknowledged(server, 5)
        second = _serve(named(path))
        made += _acknowledged(server, 5)

    assert second.returncode == NOT_HERE
    assert "another engine writes" in second.stderr + second.stdout
    assert server.process.returncode == 0
    assert _stored(path) == set(made)


def _log_unlinked(path: Path) -> Path:
    Path(f"{path}-wal").unlink()
    return path


def _file_moved(path: Path) -> Path:
    return path.rename(path.with_name("moved.db"))


def _folder_replaced(path: Path) -> Path:
    folder = path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.mkdir()
    return folder / path.name


def _replaced_by_a_copy(path: Path) -> Path:
    shutil.copy(path, path.with_name("copy.db"))
    kept = path.with_name("kept.db")
    os.link(path, kept)
    path.with_name("copy.db").replace(path)
    return kept


def _file_unlinked(path: Path) -> Path:
    path.unlink()
    return path


@pytest.mark.parametrize(
    "take", [_log_unlinked, _file_moved, _folder_replaced, _replaced_by_a_copy, _file_unlinked],
    ids=lambda take: take.__name__.strip("_"),
)  # fmt: skip
def test_a_file_that_is_taken_away_ends_the_server_and_loses_nothing_acknowledged(
    tmp_path: Path, take: Callable[[Path], Path]
) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "holdline.db"
    with running_server(tmp_path / "data") as server:
        made = _acknowledged(server, 50)
        left = take(path)
        with Client(server.listen, retry=ONCE) as client:
            reasons = set()
            for _ in range(20):
                try:
                    made.append(client.send(assign()).decision.decision_id)
                except Unavailable as error:
                    reasons.add(error.reason)
                except HoldlineError:
                    break
        server.process.wait(60)

    assert server.process.returncode == NOT_HERE
    assert "STORE_UNAVAILABLE" in reasons
    saved = [left] if left.exists() else list(left.parent.glob("holdline.db.saved-*"))
    assert _stored(saved[0]) == set(made)


def test_a_file_that_is_taken_away_while_nobody_calls_ends_the_server_too(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        made = _acknowledged(server, 5)
        _log_unlinked(tmp_path / "holdline.db")
        server.process.wait(60)

    assert server.process.returncode == NOT_HERE
    assert _stored(tmp_path / "holdline.db") == set(made)


def test_a_policy_that_is_no_text_any_more_lets_no_server_start_and_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "holdline.db"
    with running_server(tmp_path) as server:
        _acknowledged(server, 1)
    connection = apsw.Connection(str(path))
    for (trigger,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("UPDATE policies SET document = CAST(x'78ff' AS TEXT)")
    connection.close()

    started = _serve(path)
    said = started.stdout + started.stderr

    assert started.returncode == NOT_HERE
    assert "holdline verify says where" in said
    assert "Traceback" not in said


def test_a_damaged_log_lets_no_server_start_and_verify_says_so(tmp_path: Path) -> None:
    path, log = tmp_path / "holdline.db", tmp_path / "holdline.db-wal"
    with running_server(tmp_path) as server:
        _acknowledged(server, 20)
        pids = server.pids()
        os.kill(pids["supervisor"], signal.SIGSTOP)
        os.kill(pids["engine"], signal.SIGKILL)
        os.kill(pids["supervisor"], signal.SIGKILL)
        server.process.wait(30)
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    verified = invoked("verify", "--store", f"sqlite:///{path}")
    started = _serve(path)

    assert started.returncode == NOT_HERE
    assert "holdline.db" in started.stdout + started.stderr
    assert "Restore a backup" in started.stdout + started.stderr
    assert log.read_bytes() == content
    assert verified.returncode == 1


def test_a_second_server_cannot_share_the_port_of_two_gateways(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with running_server(tmp_path, "--gateways", "2") as server:
        ours = ("--listen", server.listen)
        refused = [_serve(tmp_path / "other" / "holdline.db", *ours, "--gateways", count) for count in ("1", "2")]
        for gateway in server.pids()["gateways"]:
            os.kill(gateway, signal.SIGKILL)
        refused.append(_serve(tmp_path / "other" / "holdline.db", *ours, "--gateways", "2"))
        wait_until(lambda: len(_answers(server)) == 1, 30, "the gateways are back")

    assert all(one.returncode != 0 for one in refused)
    assert [one.returncode for one in refused[1:]] == [NOT_HERE] * 2
    assert server.process.returncode == 0


def _answers(server: Server) -> list[str]:
    try:
        return _acknowledged(server, 1)
    except HoldlineError:
        return []


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Give a folder whose path leaves room for a socket's name in 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="h") as name:
        yield Path(name)


def _folders(temporary: Path) -> list[Path]:
    return list(temporary.glob("holdline-*"))


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


def test_nothing_is_left_in_the_temporary_folder_after_a_kill_of_the_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_folder: Path
) -> None:
    temporary = short_folder
    monkeypatch.setenv("TMPDIR", str(temporary))
    with running_server(tmp_path) as server:
        assert len(_folders(temporary)) == 1
        assert stat.S_IMODE(_folders(temporary)[0].stat().st_mode) == 0o700
        pids = server.pids()
        server.process.kill()
        server.process.wait(30)
        children = [pids["engine"], pids["sentry"], *pids["gateways"], *pids["workers"]]
        wait_until(lambda: not any(_alive(pid) for pid in children), 30, "its processes have ended")

    assert _folders(temporary) == []


def test_what_killed_servers_left_goes_with_the_next_start_and_a_living_ones_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.run_folder import RunFolder

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living = RunFolder()
    left = tmp_path / "holdline-run-left"
    left.mkdir()
    (left / "lock").touch()
    (left / "engine.sock").touch()

    RunFolder().remove()

    assert _folders(tmp_path) == [living.path]
    living.remove()
    assert _folders(tmp_path) == []


def _open_to_others(folder: Path) -> list[str]:
    files = (file for file in folder.rglob("*") if not file.is_symlink())
    return [file.name for file in files if stat.S_IMODE(file.stat().st_mode) & 0o077]


def test_what_a_server_writes_is_its_owners_also_where_it_was_open_before(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    with running_server(folder):
        pass
    for file in folder.iterdir():
        file.chmod(0o644)
    (folder / "notices").touch(0o644)
    (folder / "story.html").touch(0o644)
    before = os.umask(0)
    try:
        with running_server(folder, "--set", f"notice_to=file:{folder / 'notices'}") as server:
            with Client(server.listen) as client:
                account_id = client.send(assign()).account.account_id
            wait_until(lambda: bool((folder / "notices").read_text()), 20, "the notice is written")
            invoked("account", "story", account_id, "--html", str(folder / "story.html"), "--server", server.listen)
            invoked("account", "story", account_id, "--html", str(folder / "new.html"), "--server", server.listen)
            while_serving = _open_to_others(folder)
    finally:
        os.umask(before)

    assert {file.name for file in folder.iterdir()} >= {"holdline.db", "holdline.db-mark", "notices", "new.html"}
    assert while_serving == []
    assert _open_to_others(folder) == []


def test_low_limits_are_told_at_the_start(tmp_path: Path) -> None:
    def lowered() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CPU, (600, 600))

    # A store that is no store ends the server once it has looked at the limits.
    (tmp_path / "holdline.db").write_bytes(b"none of ours" * 1_000)
    ended = _serve(tmp_path / "holdline.db", preexec_fn=lowered)

    told = [json.loads(line) for line in (ended.stdout + ended.stderr).splitlines() if line.startswith("{")]
    low = " ".join(str(entry["what"]) for entry in told if entry["event"] == "low limit")
    assert all(flag in low for flag in ("ulimit -n", "ulimit -f", "ulimit -t"))
    assert "256" in low
    assert ended.returncode == NOT_HERE


def test_a_file_that_was_named_by_mistake_stays_as_it_was(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.yaml"
    theirs.write_text("callers: {}\n" * 1_000)
    theirs.chmod(0o644)
    ended = _serve(theirs)

    assert ended.returncode == NOT_HERE
    assert theirs.stat().st_mode & 0o777 == 0o644
    assert theirs.read_text() == "callers: {}\n" * 1_000
    assert list(tmp_path.iterdir()) == [theirs]


@pytest.mark.parametrize(("table", "version"), [("photos", 0), ("photos", 3), ("accounts", 0)])
def test_another_programs_database_is_not_made_a_store(table: str, version: int, tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with apsw.Connection(str(path)) as theirs:
        theirs.execute(f"CREATE TABLE {table} (x); PRAGMA user_version = {version}")
    ended = _serve(path)
    verified = invoked("verify", "--store", f"sqlite:///{path}")

    assert ended.returncode == verified.returncode == NOT_HERE
    assert "is another program's database" in ended.stdout + ended.stderr
    with apsw.Connection(str(path)) as theirs:
        assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [(table,)]
