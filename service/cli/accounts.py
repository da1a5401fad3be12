"""`holdline account show | story | raise-until`."""

from datetime import UTC, timedelta
from typing import Annotated

import typer

from service.cli import output, story
from service.cli.output import CALLER, SERVER, Caller, Json, Server

app = typer.Typer(no_args_is_help=True, help="One account: as it stands, and how it came to that.")
app.command("story")(story.story)


@app.command("show")
def account(
    account_id: Annotated[str, typer.Argument(help="The account's id.")],
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Show an account as of the last acknowledged decision."""
    with output.connected(server, caller) as client:
        found = client.account(account_id)
    if as_json:
        output.print_json(found)
    else:
        output.show_account(found)


@app.command("raise-until")
def raise_until(
    account_id: Annotated[str, typer.Argument(help="The account's id.")],
    extra: Annotated[str, typer.Argument(help="CURRENCY:MINOR, for example CNY:100000 for 1,000.00 yuan more.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="It ends so many days from now.")],
    order: Annotated[bool, typer.Option("--order", help="Without the policy's rules; needs the on-call role.")] = False,
    reason: Annotated[str, typer.Option(help="With --order: why, for the record.")] = "",
    request_id: Annotated[str, typer.Option(help="Idempotency key; the same again answers from the record.")] = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Raise what may be owed for some days; it falls back by itself."""
    from holdline.client import requests

    money = output.money_said(extra)
    with output.connected(server, caller) as client:
        # By the store's time: this machine's clock may be off.
        now = client.mode().mode.as_of.ToDatetime(tzinfo=UTC)
        asked = requests.raise_until(money, now + timedelta(days=days))
        response = (
            client.grant_temporary_raise(account_id, asked, reason, request_id=request_id)
            if order
            else client.decide(account_id, "temporary_raise", temporary_raise=asked, request_id=request_id)
        )
    if as_json:
        output.print_json(response)
    else:
        output.show_decision(response.decision, replayed=response.replayed)
