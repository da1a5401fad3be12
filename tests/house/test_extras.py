"""Each extra of pyproject, installed from the lock into an environment of its own, works from another folder.

What is installed is the wheel, so that a file which only a checkout has is missed; what it needs comes from the lock,
with its hashes, and mostly from the cache that `make setup` has filled.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SERVES: Final = """
import pathlib
from service.local_server import running_server
from holdline.client import Client
with running_server(pathlib.Path.cwd()) as server, Client(server.listen, caller="extras") as client:
    print(client.decide("a", "assign", product="revolving").decision.policy_version)
"""


class Tried(NamedTuple):
    """A command, the exit codes that it may end with, and what it must say."""

    command: tuple[str, ...]
    exit_codes: tuple[int, ...] = (0,)
    says: str = ""


CLIENT: Final = Tried(("python", "-c", "from holdline.client import Client; import holdline.v1.limit_service_pb2"))
NO_SERVER: Final = Tried(("holdline", "--help"), (2,), "holdline[server]")
RUNS_LOAD: Final = ("holdline", "load", "run", "steady", "--start-server", "--rate", "0.02", "--duration", "0.05")
TRIED: Final[dict[str, tuple[Tried, ...]]] = {
    "": (CLIENT, NO_SERVER),
    "server": (
        CLIENT,
        Tried(("holdline", "--help"), says="Exit codes"),
        Tried(("python", "-c", SERVES), says="reference-"),
        Tried(("holdline", "drill"), says="policy-tightened"),
        Tried(("holdline", "load", "list"), says="steady"),
        Tried(RUNS_LOAD, (2,), "holdline[server,load]"),
    ),
    "load": (CLIENT, NO_SERVER),
    "kafka": (CLIENT, NO_SERVER, Tried(("python", "-c", "from confluent_kafka import Producer"))),
    "server,load": (
        # On a busy machine an objective may be missed; what counts is that it ran and wrote its report.
        Tried(RUNS_LOAD, (0, 1), "steady.html"),
        Tried(("holdline", "load", "show", "kill-engine"), says="kill"),
    ),
    "server,kafka": (Tried(("python", "-c", "import service.sentry.sinks, confluent_kafka")),),
    "dev": (CLIENT, NO_SERVER, Tried(("python", "-c", "import grpc_tools, h2, hypothesis, iso4217, pytest, sqlalchemy"))),
}  # fmt: skip
"""What each extra is for, tried."""


def _run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False,
        timeout=400,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize("extras", TRIED)
def test_what_an_extra_is_for_works_in_a_clean_environment_from_another_folder(
    extras: str, wheel: Path, tmp_path: Path
) -> None:
    uv = Path(sys.executable).parent / "uv"
    environment = tmp_path / "environment"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made = _run(uv, "venv", "--quiet", "--python", sys.executable, environment)
    assert made.returncode == 0, made.stderr
    wanted = f"holdline[{extras}] @ {wheel.as_uri()}"
    lock = ROOT / "requirements.lock"
    python = environment / "bin" / "python"
    installed = _run(uv, "pip", "install", "--quiet", "--python", python, "--constraint", lock, wanted)
    assert installed.returncode == 0, installed.stderr

    for tried in TRIED[extras]:
        run = _run(environment / "bin" / tried.command[0], *tried.command[1:], cwd=elsewhere)
        said = run.stdout + run.stderr
        assert run.returncode in tried.exit_codes, (tried.command, said)
        assert tried.says in said, (tried.command, said)
        assert "Traceback" not in said, (tried.command, said)


def test_every_extra_is_tried() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

    assert set(declared) <= set(TRIED)
