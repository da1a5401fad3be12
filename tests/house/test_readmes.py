"""Every code block of a README runs.

Bash blocks run line by line against a live server; `make` and `holdline serve` lines are held against the Makefile
and the flags instead, since they are what runs the tests. Python blocks run whole, with the live server's address.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.local_server import Server, running_server

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted(path for path in ROOT.rglob("*.md") if not {".venv", "node_modules", ".git"} & set(path.parts))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TAUGHT = {"bash", "python", "text", "yaml", "json", "proto"}
DEFAULT_ADDRESS = "127.0.0.1:50051"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("readme")) as running:
        yield running


def _blocks(language: str) -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), body)
        for path in READMES
        for kind, body in BLOCK.findall(path.read_text(encoding="utf-8"))
        if kind == language
    ]


def test_every_block_says_its_language() -> None:
    kinds = {
        (str(path.relative_to(ROOT)), kind)
        for path in READMES
        for kind, _ in BLOCK.findall(path.read_text(encoding="utf-8"))
    }

    assert {kind for _, kind in kinds} <= TAUGHT
    assert any(name == "README.md" for name, _ in kinds)


def test_bash_blocks_run_in_the_order_they_are_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOLDLINE_SERVER", server.listen)
    monkeypatch.setenv("HOLDLINE_STORE", f"sqlite:///{server.ready.parent / 'holdline.db'}")
    ran = 0
    end_all = 'playbook end --all --reason "the page is read"'
    for name, body in _blocks("bash"):
        # What this page has put in force is not for the next one.
        for line in f"{body}\nholdline {end_all}".replace("\\\n", " ").splitlines():
            command = line.partition(" #")[0].strip().removeprefix(".venv/bin/")
            if not command or command.startswith("#"):
                continue
            if command.startswith("make"):
                assert set(command.split()[1:]) <= targets, f"{name}: {command}"
                continue
            assert command.startswith("holdline "), f"{name}: {command} is not run by this test"
            arguments = command.removeprefix("holdline ")
            if arguments.startswith("serve"):
                arguments = "serve --help"
            if arguments.startswith("demo"):
                continue
            # In this process: sixty interpreters would take a minute to load the same code.
            run = CliRunner().invoke(app, shlex.split(arguments))
            assert run.exit_code == 0, f"{name}: {command}\n{run.output}{run.exception!r}"
            ran += 1

    assert ran >= 5


def test_python_blocks_run(server: Server) -> None:
    blocks = _blocks("python")
    for name, body in blocks:
        script = body.replace(DEFAULT_ADDRESS, server.listen)
        run = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert run.returncode == 0, f"{name}:\n{script}\n{run.stderr}"

    assert blocks
