"""`holdline`: every command, found by name and imported when used, so that help is fast."""

import os

import typer

from loadtests import cli as load
from service.cli import (
    accounts,
    decisions,
    demo,
    draws,
    drill,
    events,
    feedback,
    imports,
    oncall,
    outbox,
    playbooks,
    policies,
    runs,
    serve,
    stores,
)

app = typer.Typer(
    name="holdline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Durable, explained credit-limit decisions. Start with `holdline demo`, then `holdline serve`.",
    epilog="Exit codes: 0 done; 1 a promise does not hold; 2 wrong command line; 3 refused; 4 out of reach, try again; "
    "5 this store or machine does not let it start.",
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
app.command("mode")(oncall.mode)
app.command("oncall")(oncall.oncall)
app.command("drill")(drill.drill)
app.add_typer(load.app, name="load")


def run() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    run()
