"""`holdline account show | story`."""

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
