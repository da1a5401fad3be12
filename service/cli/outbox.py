"""`holdline outbox notices | alerts | redrive`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.client import Client

app = typer.Typer(no_args_is_help=True, help="Notices and alerts on their way out.")
STATES = ("waiting", "delivered", "dead")
TOPICS = ("notice", "alert")
SHOWN = 50
REDRIVEN_MAX = 1_000

States = Annotated[
    list[str] | None, typer.Option("--state", help="waiting, delivered or dead; may be said again, all without it.")
]
Count = Annotated[int, typer.Option(min=1, max=10_000, help="Most to show, newest first.")]


@app.command("notices")
def notices(
    states: States = None,
    account: Annotated[str, typer.Option(help="The notices of this account only.")] = "",
    count: Count = SHOWN,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Look at customers' notices, newest first."""
    wanted = output.chosen(states, STATES)
    with output.connected(server, caller) as client:
        found = list(islice(client.notices(wanted, account_id=account, page_size=min(count, 1_000)), count))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            one.message_id,
            one.kind,
            one.account_id,
            output.message_state(one),
            str(one.attempts),
            one.created_at.ToJsonString(),
            one.due_at.ToJsonString(),
        )
        for one in found
    ]
    output.table("Notices", ("id", "kind", "account", "state", "attempts", "written (UTC)", "due (UTC)"), rows)


@app.command("alerts")
def alerts(
    states: States = None,
    count: Count = SHOWN,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Look at on-call's alerts, newest first."""
    wanted = output.chosen(states, STATES)
    with output.connected(server, caller) as client:
        found = list(islice(client.alerts(wanted, page_size=min(count, 1_000)), count))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            one.message_id,
            one.kind,
            output.severity(one),
            ", ".join(f"{fact.name}={fact.value}" for fact in one.facts),
            output.message_state(one),
            str(one.attempts),
            one.created_at.ToJsonString(),
        )
        for one in found
    ]
    output.table("Alerts", ("id", "kind", "severity", "facts", "state", "attempts", "written (UTC)"), rows)


@app.command("redrive")
def redrive(
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    message_ids: Annotated[list[str] | None, typer.Argument(help="Ids of dead notices and alerts.")] = None,
    every: Annotated[bool, typer.Option("--all", help=f"All dead ones of the topic, at most {REDRIVEN_MAX}.")] = False,
    topic: Annotated[str, typer.Option(help="With --all: notice or alert.")] = "notice",
    request_id: Annotated[str, typer.Option(help="Idempotency key; the same again answers from the record.")] = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Let messages that were given up be told again."""
    if bool(message_ids) == every:
        raise output.wrong("name message ids, or --all")
    topic = output.choice(topic, TOPICS)
    with output.connected(server, caller) as client:
        names = message_ids or _dead(client, topic)
        redriven = client.redrive(names, reason=reason, request_id=request_id) if names else 0
    if as_json:
        output.print_json({"redriven": redriven})
    else:
        output.echo(f"{redriven} will be told again")


def _dead(client: Client, topic: str) -> list[str]:
    """Name the newest dead messages of a topic."""
    if topic == "notice":
        return [one.message_id for one in islice(client.notices(["dead"], page_size=1_000), REDRIVEN_MAX)]
    return [one.message_id for one in islice(client.alerts(["dead"], page_size=1_000), REDRIVEN_MAX)]
