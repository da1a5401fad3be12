"""`holdline outbox list | redrive`."""

from itertools import islice
from typing import Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

app = typer.Typer(no_args_is_help=True, help="Notices and alerts on their way out.")
STATES = ("waiting", "delivered", "dead")
TOPICS = ("notice", "alert")
SHOWN = 50
REDRIVEN_MAX = 1_000

Topic = Annotated[str, typer.Option(help="notice or alert.")]


@app.command("list")
def messages(
    state: Annotated[str, typer.Option(help="waiting, delivered or dead.")] = "waiting",
    topic: Topic = "notice",
    account: Annotated[str, typer.Option(help="The notices of this account, whatever their state.")] = "",
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show, newest first.")] = SHOWN,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Look at messages, newest first."""
    state, topic = output.choice(state, STATES), output.choice(topic, TOPICS)
    with output.connected(server, caller) as client:
        asked = client.messages(state, topic=topic, account_id=account, page_size=min(count, 1_000))
        found = list(islice(asked, count))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            one.message_id,
            one.kind,
            one.account_id or "–",
            output.message_state(one),
            str(one.attempts),
            one.created_at.ToJsonString(),
            one.due_at.ToJsonString(),
        )
        for one in found
    ]
    output.table("Outbox", ("id", "kind", "account", "state", "attempts", "written (UTC)", "due (UTC)"), rows)


@app.command("redrive")
def redrive(
    message_ids: Annotated[list[str] | None, typer.Argument(help="Ids of dead messages.")] = None,
    every: Annotated[bool, typer.Option("--all", help=f"All dead ones of the topic, at most {REDRIVEN_MAX}.")] = False,
    topic: Topic = "notice",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Let messages that were given up be told again."""
    if bool(message_ids) == every:
        raise output.wrong("name message ids, or --all")
    topic = output.choice(topic, TOPICS)
    with output.connected(server, caller) as client:
        names = message_ids or [
            one.message_id for one in islice(client.messages("dead", topic=topic, page_size=1_000), REDRIVEN_MAX)
        ]
        redriven = client.redrive(names) if names else 0
    if as_json:
        output.print_json({"redriven": redriven})
    else:
        output.echo(f"{redriven} will be told again")
