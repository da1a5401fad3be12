"""Mistakes of every day on the command line: each ends with a sentence and an exit code, never with a traceback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from service.cli.demonstration import Server
from service.cli.main import app
from tests.service.command_line import Run, invoked

EXIT_CODES = {0, 1, 2, 3, 4, 5}
BAD = (
    "", "-1", "99999999999999999999", "1.5", "\u00b2", "sex=1", "monthly_income=12000", "identity_level=CNY:5",
    "bureau_score=99999999999", "monthly_income=XTS:5", "CNY:\u00b2", "ABC:12500", "2026-02-30", "0000-00-00",
    "sqlite:///nowhere/at/all.db", "postgres://x", "\x1b[31m\u202ered", "\udcff", "A\u00b2",
    "freeze_raises/v\u00b2", "dpd_now=1..\u00b2", "/etc/passwd/x",
)  # fmt: skip
ONCE_FOR_ALL = ("help", "server", "caller", "request_id")
"""Parameters that every command has from one place."""
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
        if tried.name in ONCE_FOR_ALL or getattr(tried, "is_flag", False):
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
