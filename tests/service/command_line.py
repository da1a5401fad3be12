"""The command line in this process: an interpreter of its own for each command would load the same code each time."""

import traceback
from typing import NamedTuple

from typer.testing import CliRunner

from service.cli.main import app
from service.local_server import Server


class Run(NamedTuple):
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


def invoked(*arguments: str, server: Server | None = None, answers: str = "") -> Run:
    """Run `holdline` with arguments, against a server or against none."""
    environment = {"COLUMNS": "200", "HOLDLINE_SERVER": server.listen if server else "127.0.0.1:1"}
    ended = CliRunner().invoke(app, arguments, input=answers, env=environment)
    trace = ""
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        trace = "".join(traceback.format_exception(ended.exception))
    return Run(ended.exit_code, ended.stdout, ended.stderr + trace)
