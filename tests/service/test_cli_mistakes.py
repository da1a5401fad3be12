"""Mistakes of every day on the command line: each ends with a sentence and an exit code, never with a traceback."""

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from service.cli.demonstration import Server
from service.cli.main import app
from tests.service.command_line import Run, invoked
from tests.service.wire import fresh

EXIT_CODES = {0, 1, 2, 3, 4, 5}
BAD = (
    "", " ", "-1", "99999999999999999999", "1e3", "1.5", "٣", "²", "NaN", "sex=1", "monthly_income=12000",
    "identity_level=CNY:5", "bureau_score=99999999999", "monthly_income=XTS:5", "monthly_income=CNY:99999999999999999999",
    "bureau_score=²", "bureau_score", "=", "CNY:", ":5", "CNY:1.5", "CNY:²", "XXX:5", "ABC:12500", "cny:5", "CNY:-5",
    "2026-02-30", "9999-12-31", "0000-00-00", "yesterday", "sqlite:///nowhere/at/all.db", "postgres://x", "sqlite:///",
    "127.0.0.1:1", "nowhere.invalid:50051", ":::", "\x1b[31mred", "\u202egnp", "\udcff", "x" * 5_000, "a\x00b", "[red]x",
    "A1", "A²", "C1", "0123456789abcdef", "freeze_raises/v²", "dpd_now=1..²", "/", "/etc/shadow/x", "name=value",
)  # fmt: skip
LONG = {("serve",), ("demo",), ("load", "run"), ("load", "capacity"), ("load", "cross-check"), ("drill",)}
"""Commands that work for long where nothing is wrong; tried by the options that must be refused."""


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(_commands(typer.main.get_command(app)))


def _good(parameter: Any, file: Path) -> str:
    """Give a value that a needed parameter takes, so that the one that is tried is reached."""
    known = {
        "extra": "CNY:5", "amount": "CNY:5", "days": "3", "kind": "raise", "category": "unclear", "score": "3",
        "business_date": "2026-01-02", "file": str(file), "result": str(file), "decision_id": "0" * 16,
        "hold_id": "0" * 16, "case_id": "C1", "activation": "A1", "store": "sqlite:////nowhere/at.db",
    }  # fmt: skip
    return known.get(parameter.name, "x")


def _lines(command: Any, path: tuple[str, ...], file: Path) -> Iterator[list[str]]:
    """Give command lines with one bad value each."""
    for tried in command.params:
        if tried.name == "help" or getattr(tried, "is_flag", False):
            continue
        for bad in BAD:
            said: list[str] = []
            for one in command.params:
                if one is not tried and not one.required:
                    continue
                value = bad if one is tried else _good(one, file)
                said += [value] if one.param_type_name == "argument" else [one.opts[0], value]
            yield [*path, *said]


def _is_sentence(run: Run, line: list[str]) -> None:
    assert "Traceback" not in run.stderr + run.stdout, (line, run)
    assert run.returncode in EXIT_CODES, (line, run)
    assert run.returncode == 0 or (run.stderr + run.stdout).strip(), (line, run)
    assert "\x1b" not in run.stdout + run.stderr, (line, run)
    assert "\u202e" not in run.stdout + run.stderr, (line, run)


@pytest.mark.parametrize("path", sorted(set(COMMANDS) - LONG), ids=" ".join)
def test_no_bad_value_of_any_parameter_ends_a_command_with_a_traceback(
    path: tuple[str, ...], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("playbooks.scaffold.ROOT", tmp_path, raising=False)
    file = tmp_path / "file"
    file.write_bytes(b"{\xff\xfe")

    for line in _lines(COMMANDS[path], path, file):
        _is_sentence(invoked(*line, server=server), line)
