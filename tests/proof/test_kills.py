"""SIGKILL at random moments under load, of each process; then the client's journal against the store.

Goal: nothing acknowledged is lost, nothing is doubled, every retry with its key answers as recorded, and the service
is back by itself. Method: four callers send without retries of their own; after each kill the run waits for new
acknowledgements. `make test` kills three times a process, `make torture` twenty times.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from service.local_server import Server, running_server
from tests.proof.journal import Journal, wait_until

BACK_SECONDS_MAX = 20.0
"""Far above the two seconds that we promise: machines are shared, and a test doesn't assert timings."""


def _kill_again_and_again(folder: Path, role: str, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    with running_server(folder) as server:
        with Journal(server.listen, seed) as journal:
            for _ in range(kills):
                journal.wait_for(len(journal.acknowledged) + 50)
                time.sleep(rng.uniform(0, 0.1))
                victim = _pid(server, role)
                os.kill(victim, signal.SIGKILL)
                wait_until(lambda victim=victim: _pid(server, role) != victim, BACK_SECONDS_MAX, f"{role} is back")  # type: ignore[misc]  # a bound default.
            journal.wait_for(len(journal.acknowledged) + 50)
        assert journal.unknown or role == "gateway"
        journal.reconcile(server.listen, folder / "holdline.db")


def _pid(server: Server, role: str) -> int:
    pids = server.pids()
    return int(pids["engine"] if role == "engine" else pids["gateways"][0])


@pytest.mark.parametrize("role", ["engine", "gateway"])
def test_three_kills_under_load_lose_and_double_nothing(tmp_path: Path, role: str) -> None:
    _kill_again_and_again(tmp_path, role, kills=3, seed=3)


@pytest.mark.torture
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("role", ["engine", "gateway"])
def test_twenty_kills_under_load_lose_and_double_nothing(tmp_path: Path, role: str) -> None:
    _kill_again_and_again(tmp_path, role, kills=20, seed=20)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=[pytest.mark.torture, pytest.mark.timeout(1_200)])])
def test_a_supervisor_killed_takes_its_children_with_it_and_a_new_one_finds_everything(
    tmp_path: Path, kills: int
) -> None:
    rng = random.Random(kills)
    whole = Journal("", seed=0, callers=0)
    for run in range(kills):
        with running_server(tmp_path) as server:
            pids = server.pids()
            with Journal(server.listen, seed=100 * run, callers=2, prefix=f"run-{run}") as journal:
                journal.wait_for(30)
                time.sleep(rng.uniform(0, 0.1))
                server.process.kill()
                server.process.wait(10)
            children = [pids["engine"], *pids["gateways"]]
            wait_until(lambda children=children: not any(map(_is_alive, children)), 30, "children ended")  # type: ignore[misc]  # a bound default.
        whole.absorb(journal)

    with running_server(tmp_path) as server:
        whole.reconcile(server.listen, tmp_path / "holdline.db")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
