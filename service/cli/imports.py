"""`holdline import …`: take accounts over from elsewhere, each as one recorded decision."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli import output
from service.cli.output import SERVER, Json, Server

app = typer.Typer(no_args_is_help=True, help="Take accounts over from elsewhere.")

IMPORT_CALLER = "import"


@app.callback()
def _group() -> None:
    """Take accounts over from elsewhere."""


@app.command("credit-card-clients")
def credit_card_clients(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The CSV, gzip or plain.")],
    aside: Annotated[
        Path, typer.Option(help="Where sex, education, marital status, age and outcome go; they are never facts.")
    ] = Path("credit-card-clients-aside.csv"),
    server: Server = SERVER,
    as_json: Json = False,
) -> None:
    """Import the public data set *Default of Credit Card Clients* (Yeh, UCI, CC BY 4.0) as accounts with facts.

    Importing again answers from the record: nothing is doubled. Amounts are taken at 0.25 yuan a NT$.
    """
    from service import population
    from service.cli import takeover

    try:
        customers = list(population.credit_card_clients(file))
    except ValueError as error:
        raise output.wrong(str(error)) from error
    with output.connected(server, IMPORT_CALLER) as client:
        made, replayed, refused = takeover.take_over(client, customers, lambda _: None)
    population.write_aside(aside, customers)
    found = {"imported": made, "imported_before": replayed, "refused": len(refused), "aside": str(aside)}
    if as_json:
        output.print_json(found)
    else:
        output.echo(f"{made} accounts imported, {replayed} had been before, {len(refused)} refused; aside in {aside}")
        for account_id, why in refused[:10]:
            output.echo(f"{account_id}: {why}", fg="red")
    if refused:
        raise typer.Exit(output.REFUSED)
