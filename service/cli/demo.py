"""`holdline demo`."""

from typing import Annotated

import typer

from service.cli import output


def demo(
    decisions: Annotated[int, typer.Option(min=600, max=200_000, help="How many decisions to ask for.")] = 6_000,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 2026,
) -> None:
    """Run the main job on real input and check every promise; under a minute, exit code 1 if one is broken."""
    from service.cli import demonstration

    broken = demonstration.run(decisions, seed)
    for fault in broken[:20]:
        output.echo(f"broken: {fault}", fg="red")
    if broken:
        raise typer.Exit(output.PROMISE_BROKEN)
    output.echo("Every promise held.", fg="green")
