"""What a server's processes share after they were forked from one, and what becomes of one that can't be forked."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from holdline.client import Client

from service.local_server import Server, running_server
from tests.proof.journal import wait_until

COMPLETE: Final = "import sys; from service import forked; sys.exit(not forked.can_fork())"
"""Ends with 0 where a fork would be complete."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("forked"), "--gateways", "2", "--set", "run_workers=2") as running:
        yield running


def _children(server: Server) -> dict[int, str]:
    """Give every process of a server but its supervisor, by process id, with the name that `ps` shows."""
    parent = server.process.pid
    found = {}
    for one in Path("/proc").glob("[0-9]*"):
        try:
            status = _status(int(one.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(status["PPid"]) == parent:
            found[int(one.name)] = status["Name"]
    return found


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _pipes(pid: int) -> dict[str, str]:
    """Give the pipes that a process holds, by descriptor."""
    links = {}
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links[one.name] = str(one.readlink())
        except FileNotFoundError:
            continue
    return {name: link for name, link in links.items() if link.startswith("pipe:")}


def test_all_processes_are_there_from_the_start_under_their_roles_names(server: Server) -> None:
    names = sorted(_children(server).values())
    assert names == ["engine", "engine", "gateway", "gateway", "reader", "sentry", "worker", "worker"]


def test_no_process_holds_an_end_of_anothers_lifeline(server: Server) -> None:
    children = _children(server)
    own = {pid: {_pipes(pid)["0"], _pipes(pid)["1"]} for pid in children}
    for pid in children:
        others = set().union(*(pipes for other, pipes in own.items() if other != pid))
        assert not others & set(_pipes(pid).values()), children[pid]


def test_each_has_a_session_of_its_own_and_none_of_its_supervisors_signals(server: Server) -> None:
    for pid, role in _children(server).items():
        status = _status(pid)
        blocked, caught = int(status["SigBlk"], 16), int(status["SigCgt"], 16)
        # A spare stands before its role's first step, where it takes signals by their defaults.
        held = {one for one in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD) if blocked >> (one - 1) & 1}
        assert (role, os.getsid(pid), held) == (role, pid, set())
        assert not caught >> (signal.SIGCHLD - 1) & 1, role


def test_a_spare_is_there_at_once_and_takes_a_killed_engines_place(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, Client(server.listen, caller="branch") as client:
        engine = server.pids()["engine"]
        spare = next(pid for pid, role in _children(server).items() if role == "engine" and pid != engine)
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: server.pids()["engine"] != engine, 20, "another engine")
        assert server.pids()["engine"] == spare
        assert client.mode().HasField("mode")


def test_a_server_that_is_told_not_to_fork_starts_each_process_from_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, "--set", "fork=false") as server:
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in _children(server)]
    assert len(lines) >= 4
    assert all(b"service.launch" in line for line in lines)


def _start(tmp_path: Path, *shell: str) -> tuple[subprocess.Popen[bytes], Path]:
    ready = tmp_path / "ready.json"
    serve = [sys.executable, "-m", "service.cli.main", "serve", "--listen", "127.0.0.1:0"]
    serve += ["--store", f"sqlite:///{tmp_path / 'holdline.db'}", "--ready-file", str(ready)]
    return subprocess.Popen(["/bin/sh", "-c", f'exec "$@" {" ".join(shell)}', "sh", *serve]), ready


def test_a_server_without_a_standard_input_starts_each_process_from_nothing_and_serves(tmp_path: Path) -> None:
    process, ready = _start(tmp_path, "<&-")
    try:
        wait_until(ready.exists, 60, "the server")
        pids: dict[str, Any] = json.loads(ready.read_text(encoding="utf-8"))
        started = Path(f"/proc/{pids['engine']}/cmdline").read_bytes()
        with Client(pids["listen"], caller="branch") as client:
            answered = client.mode().HasField("mode")
    finally:
        process.terminate()
        code = process.wait(60)
    assert (b"service.launch" in started, answered, code) == (True, True, 0)


def test_a_process_with_a_thread_or_without_a_standard_stream_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    run = [sys.executable, "-c", COMPLETE]
    assert subprocess.run(run, check=False, stdin=subprocess.DEVNULL).returncode == 0
    threaded = COMPLETE.replace("sys.exit", "import threading; threading.Timer(1, print).start(); sys.exit")
    assert subprocess.run([*run[:2], threaded], check=False, stdin=subprocess.DEVNULL).returncode == 1
    for stream in ("<&-", ">&-", "2>&-"):
        shell = ["/bin/sh", "-c", f'exec "$@" {stream}', "sh", *run]
        assert subprocess.run(shell, check=False, stdin=subprocess.DEVNULL).returncode == 1, stream


FAULT: Final = """
import sys
from service import forked

def main(role):
    print("said by", role, flush=True)
    if role == "faulty":
        raise OSError("no such thing")
    return int(sys.stdin.readline())

for role, process in forked.fork_all(["faulty", "orderly", "killed"], main):
    print(role, process.stdout.readline().decode().strip())
    if role == "orderly":
        process.stdin.write(b"7\\n")
        process.stdin.flush()
    if role == "killed":
        process.send_signal(9)
    print(process.wait(20))
    process.terminate()
"""


def test_a_fork_ends_as_a_process_does_with_its_code_or_a_traceback() -> None:
    ran = subprocess.run([sys.executable, "-c", FAULT], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    said = ran.stdout.decode().splitlines()
    assert said == ["faulty said by faulty", "1", "orderly said by orderly", "7", "killed said by killed", "-9"]
    assert "OSError: no such thing" in ran.stderr.decode()
    assert ran.returncode == 0
