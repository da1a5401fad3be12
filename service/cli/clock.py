"""`holdline clock …`: the store's time, how the machine's clock stands to it, and a person's word on it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.v1 import playbook_service_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="The store's time: look at it, confirm the machine's clock after a step.")


@app.command()
def show(server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Show the store's time, and by how much the engine's machine clock is off, since when, and what to do."""
    with output.connected(server, caller) as client:
        found = client.mode().clock
    if as_json:
        output.print_json(found)
    else:
        output.echo(f"the store's time is {found.time.ToJsonString()}; {standing(found)}")


@app.command()
def confirm(
    reason: Annotated[str, typer.Option(prompt="Why (for the record)", help="Why, for the record.")],
    ahead_micros: Annotated[
        int, typer.Option(help="The step that is confirmed, as `clock show --json` gives it; 0: the one of now.")
    ] = 0,
    request_id: Annotated[str, typer.Option(help="Idempotency key; the same again answers from the record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask; for scripts.")] = False,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Say that the engine's machine clock is right, after a step that nothing explains."""
    with output.connected(server, caller) as client:
        found = client.mode().clock
        if not found.ahead_micros and not ahead_micros:
            output.echo(f"nothing is to be confirmed: {standing(found)}")
            return
        if not yes:
            output.echo(standing(found))
            output.echo(_effect(found.ahead_micros))
            output.confirm("Is the machine's clock right?")
        response = client.confirm_clock(ahead_micros or found.ahead_micros, reason=reason, request_id=request_id)
    if as_json:
        output.print_json(response)
    else:
        output.echo(f"the store's time is {response.clock.time.ToJsonString()}; {standing(response.clock)}")


def standing(clock: pb.StoreClock) -> str:
    """Say how the machine's clock stands to the store's time."""
    if clock.ahead_micros:
        where = "ahead" if clock.ahead_micros > 0 else "behind"
        found = f"the machine's clock stepped to {_span(clock.ahead_micros)} {where} at {clock.since.ToJsonString()}"
    else:
        found = "the machine's clock agrees"
    if clock.owed_micros:
        found = f"the store's time is {_span(clock.owed_micros)} ahead of the confirmed clock"
    return f"{found}: {clock.what_to_do}" if clock.what_to_do else found


def _effect(ahead_micros: int) -> str:
    if ahead_micros > 0:
        return "Confirmed, the store's time is set ahead by that: what ends within it has ended, no key is forgotten."
    return f"Confirmed, the store's time goes half as fast for the next {_span(2 * ahead_micros)}; it never goes back."


def _span(micros: int) -> str:
    return str(timedelta(seconds=round(abs(micros), -6) // 1_000_000))
