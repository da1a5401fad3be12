"""`holdline account`."""

from typing import Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server


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
