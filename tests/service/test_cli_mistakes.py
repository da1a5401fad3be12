"""Mistakes of every day on the command line: each ends with a sentence and an exit code, never with a traceback."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from service.cli.main import app
from service.exit_codes import NOT_HERE, STOPPED
from service.local_server import Server
from service.settings import FORMS, Settings
from tests.service.command_line import Run, invoked

EXIT_CODES = {0, 1, 2, 3, 4, 5, STOPPED}
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
    for place, tried in enumerate(command.params):
        if tried.name in ONCE_FOR_ALL or getattr(tried, "is_flag", False):
            continue
        # A third of them each, in turn: all of them for every parameter would take minutes.
        for bad in BAD[(place + len(path[-1])) % 3 :: 3]:
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


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("decide", "a", "raise", "--fact", "sex=1"), "no fact is called sex"),
        (("evaluate", "a", "raise", "--fact", "sex=1"), "no fact is called sex"),
        (("appeal", "submit", "a", "0" * 16, "no", "--fact", "sex=1"), "no fact is called sex"),
        (("decide", "a", "raise", "--fact", "monthly_income=12000"), "monthly_income is an amount"),
        (("decide", "a", "raise", "--fact", "dpd_now=CNY:5"), "dpd_now is a whole number"),
        (("decide", "a", "raise", "--fact", "dpd_now=5000000000"), "dpd_now: 5000000000"),
        (("decide", "a", "raise", "--fact", "monthly_income=ABC:5"), "ABC is no currency"),
        (("draw", "authorize", "a", "XTS:5"), "XTS is no currency"),
        (("draw", "authorize", "a", "5"), "is not CURRENCY:MINOR"),
        (("account", "raise-until", "a", "cny:5", "--days", "3"), "ISO 4217"),
        (("appeal", "resolve", "C1", "--note", "n", "--overturn", "CNY:1.5"), "is not CURRENCY:MINOR"),
        (("run", "start", "2026-02-30"), "send a date as YYYY-MM-DD"),
        (("run", "close", "2026-02-30"), "2026-02-30 is no day of the calendar"),
        (("decide", "a ", "raise"), "' ' can't be character 2"),
        (("decide", "a", "raise", "--request-id", "\u5ba2"), "'\u5ba2' can't be character 1"),
        (("decide", "b", "assign", "--product", "Revolving"), "'R' can't be character 1"),
        (("decide", "a" * 65, "raise"), "65 characters"),
        (("decide", "a", "raise", "--fact", "bureau_score=99999999999999999999"), "bureau_score: 99999999999999999999"),
        (("draw", "authorize", "a", "CNY:99999999999999999999"), "is more than an amount can be"),
        (
            ("policy", "rollback", "nosuch", "--yes", "--reason", "x"),
            "no policy has decided for a product of this name",
        ),
        (("mode", "--caller", "\u4e0d\u884c"), "the caller's name is"),
        (("mode", "--caller", "a\nb"), "the caller's name is"),
        (("playbook", "preview", "freeze_rises"), "known: cap_growth, freeze_raises"),
        (("mode", "--server", "localhost"), "--server: localhost is no address; write HOST:PORT"),
        (("mode", "--server", "http://127.0.0.1:50051"), "is no address; write HOST:PORT"),
        (("mode", "--server", "127.0.0.1:99999"), "is no address; write HOST:PORT"),
        (("load", "run", "steady", "--target", "localhost"), "--target: localhost is no address; write HOST:PORT"),
        (("load", "capacity", "--target", "localhost"), "--target: localhost is no address; write HOST:PORT"),
        (("serve", "--store", "holdline.db"), "store: write sqlite:///PATH"),
        (("serve", "--listen", "50051"), "listen: write HOST:PORT"),
        (("serve", "--listen", "127.0.0.1:99999"), "Invalid value: listen: 127.0.0.1:99999 is no address"),
        (("serve", "--set", "nosuch=1"), "nosuch: no setting is called so"),
        (("serve", "--set", "brake=CNY=1"), "brake: write CURRENCY=A_MINUTE/AN_HOUR"),
        (("policy", "publish", "/etc"), "is a directory"),
        (("account", "story", "a", "--html", "/nowhere/at/all.html"), "/nowhere/at/all.html"),
        (("serve", "--ready-file", "/nowhere/at/all"), "its folder does not exist"),
        (("serve", "--set", "appeal_alone=ABC=5"), "appeal_alone: ABC is no currency"),
        (("\x1b[31m\u202ered",), "No such command"),
        (("decide", "--\x1b[31m\u202ered"), "No such option"),
    ],
)
def test_an_ordinary_mistake_is_told_in_a_sentence(line: tuple[str, ...], says: str, server: Server) -> None:
    client = invoked("decide", "a", "assign", "--product", "revolving", server=server)
    run = invoked(*line, server=server)

    assert client.returncode in (0, 3)
    _is_sentence(run, list(line))
    assert run.returncode in (2, 3)
    assert says in " ".join(run.stderr.replace("\u2502", " ").split()), run


@pytest.mark.parametrize("address", ["nowhere.invalid:5", "127.0.0.1:1", "", "\x1b[31m\u202ered", "127.0.0.1:\u00b2"])
def test_a_server_that_is_not_there_is_told_in_a_sentence(address: str) -> None:
    run = invoked("account", "show", "a", "--server", address)

    _is_sentence(run, [address])
    assert run.returncode in (2, 4)


@pytest.mark.parametrize("caller", ["", "\u00fc", "\x1b[31m", "a/b", "x" * 5_000, "holdline:guard"])
def test_a_callers_name_that_is_none_is_told_in_a_sentence(caller: str, server: Server) -> None:
    _is_sentence(invoked("account", "show", "a", "--caller", caller, server=server), [caller])


def test_a_reader_that_has_gone_and_an_interrupt_end_a_command_quietly(server: Server) -> None:
    command = [sys.executable, "-m", "service.cli.main"]
    closed = subprocess.run(
        f"{shlex.join([*command, 'policy', 'show', 'reference-2026-1', '--server', server.listen])} | head -c 1",
        shell=True, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    watching = subprocess.Popen(
        [*command, "mode", "--watch", "--server", server.listen],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=60)

    assert "Traceback" not in closed.stderr, closed
    assert "Traceback" not in said, said
    assert watching.returncode != 0


@pytest.mark.parametrize(
    "content", ["[1", "# Title\n\n```bash\nx\n```\n- a: `b`\n", "callers: {a: [nosuch]}", "\t", "[" * 5_000]
)
def test_a_roles_file_that_is_none_is_told_in_a_sentence(content: str, tmp_path: Path) -> None:
    file = tmp_path / "roles.yaml"
    file.write_text(content)
    line = ["serve", "--set", f"roles_file={file}"]
    run = invoked(*line)

    _is_sentence(run, line)
    assert run.returncode == 2
    assert "roles_file" in run.stderr


def test_every_setting_with_a_form_says_how_it_is_written() -> None:
    patterned = {
        name
        for name, field in Settings.model_fields.items()
        if any(getattr(bound, "pattern", None) for bound in field.metadata)
    }

    assert set(FORMS) == patterned


def test_notices_to_kafka_are_refused_at_the_start_where_its_client_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.settings.find_spec", lambda _: None)
    run = invoked("serve", "--set", "notice_to=kafka://broker:9092/notices")

    assert run.returncode == 2
    assert "install holdline[server,kafka]" in run.stderr


@pytest.mark.parametrize("command", ["verify", "replay"])
@pytest.mark.parametrize("store", ["nosuch.db", "nosuch/at.db", ".", "file/at.db"])
def test_a_store_that_is_not_there_is_no_reason_to_try_again(
    command: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    run = invoked(command, "--store", f"sqlite:///{store}")

    assert run.returncode == NOT_HERE
    assert Path(store).name in run.stderr
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        (("playbook", "activate", "freeze_raises", "--reason", "r"), "n\n"),
        (("playbook", "activate", "freeze_raises", "--reason", "r"), ""),
        (("playbook", "activate", "freeze_raises", "--yes"), ""),
        (("playbook", "extend", "A1"), ""),
        (("playbook", "end", "--all"), ""),
        (("clock", "confirm"), ""),
        (("oncall",), ""),
    ],
)
def test_a_no_or_nobody_there_to_ask_is_not_a_broken_promise(
    line: tuple[str, ...], answers: str, server: Server
) -> None:
    assert invoked(*line, server=server, answers=answers).returncode == STOPPED
