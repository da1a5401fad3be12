"""`holdline`: every command, found by name and imported when used, so that help is fast."""

import io
import os
import sys
from typing import Any, Final

import typer

from loadtests import cli as load
from service import printable
from service.cli import (
    accounts,
    clock,
    decisions,
    demo,
    draws,
    drill,
    events,
    feedback,
    imports,
    oncall,
    operations,
    outbox,
    output,
    playbooks,
    policies,
    runs,
    serve,
    stores,
)
from service.exit_codes import READER_GONE, STOPPED

EXTRAS: Final = {"hpack": "load", "hdrh": "load", "matplotlib": "load", "confluent_kafka": "kafka"}
"""Which extra brings a module that not every installation has."""


class Sentences(typer.core.TyperGroup):
    """Ends a command that a file or a pipe failed with a sentence, where it has none of its own."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line; what typer ends with 1, which is for broken promises, gets a code of its own."""
        try:
            return super().main(*args, **extra)
        except SystemExit as ended:
            if isinstance(ended.__context__, typer.Abort):
                raise SystemExit(STOPPED) from None
            if isinstance(ended.__context__, BrokenPipeError):
                raise SystemExit(READER_GONE) from None
            raise

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer keeps its base to itself.
        """Run the command."""
        try:
            return super().invoke(ctx)
        except typer.exceptions.TyperException as error:
            # A wrong use is told in words that may quote what was said.
            if isinstance(said := getattr(error, "message", None), str):
                vars(error)["message"] = printable.line(said)
            raise
        except BrokenPipeError:
            # Whoever read our output has gone; `main` ends quietly.
            raise
        except ModuleNotFoundError as error:
            extra = EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            raise output.wrong(f"{error.name} is missing: install holdline[server,{extra}]") from None
        except (OSError, UnicodeError) as error:
            named = getattr(error, "filename", None)
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise output.wrong(f"{named}: {why}" if named else why) from error


app = typer.Typer(
    name="holdline",
    cls=Sentences,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Durable, explained credit-limit decisions. Start with `holdline demo`, then `holdline serve`.",
    epilog="Exit codes: 0 done; 1 a promise does not hold; 2 wrong command line; 3 refused; 4 out of reach, try again; "
    "5 this store or machine does not let it start; 130 stopped by Ctrl-C or a no; 141 the output's reader has gone.",
)


@app.callback()
def _begin() -> None:
    # Stores, logs, notices and pages hold what is known of people: for their owner alone, whatever the shell's umask.
    os.umask(0o077)


app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("decide")(decisions.decide)
app.command("evaluate")(decisions.evaluate)
app.command("explain")(decisions.explain)
app.command("decision")(decisions.decision)
app.command("decisions")(decisions.decisions)
app.add_typer(accounts.app, name="account")
app.command("verify")(stores.verify)
app.command("replay")(stores.replay)
app.add_typer(runs.app, name="run")
app.add_typer(draws.app, name="draw")
app.command("events")(events.events)
app.add_typer(feedback.app, name="feedback")
app.add_typer(feedback.appeals, name="appeal")
app.add_typer(imports.app, name="import")
app.add_typer(policies.app, name="policy")
app.add_typer(playbooks.app, name="playbook")
app.add_typer(outbox.app, name="outbox")
app.add_typer(operations.app, name="operation")
app.add_typer(clock.app, name="clock")
app.command("mode")(oncall.mode)
app.command("oncall")(oncall.oncall)
app.command("drill")(drill.drill)
app.add_typer(load.app, name="load")


def run() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is shown by its number.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    finally:
        _end_output()


def _end_output() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(ended := sys.exception(), SystemExit) and ended.code:
            return
        raise SystemExit(READER_GONE) from None


if __name__ == "__main__":
    run()
