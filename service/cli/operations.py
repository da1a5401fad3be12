"""`holdline operation list | show | watch | cancel`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.v1 import operation_service_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="Everything that takes long, in one form.")
KINDS = ("daily_run", "closing", "make_good")
STATES = ("waiting", "running", "done", "cancelled", "failed")

OperationId = Annotated[str, typer.Argument(help="The operation's id, such as run-2026-11-27.")]


@app.command("list")
def operations(
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="daily_run, closing or make_good; all without it.")
    ] = None,
    states: Annotated[
        list[str] | None,
        typer.Option("--state", help="waiting, running, done, cancelled or failed; all without it."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show, newest first.")] = 50,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List operations, newest business date first."""
    of_kinds, in_states = output.chosen(kinds, KINDS), output.chosen(states, STATES)
    with output.connected(server, caller) as client:
        found = list(islice(client.operations(of_kinds, in_states, page_size=min(count, 1_000)), count))
    _show(found, as_json=as_json)


@app.command("show")
def show(operation_id: OperationId, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Show how far an operation is."""
    with output.connected(server, caller) as client:
        found = client.operation(operation_id)
    _show([found], as_json=as_json)


@app.command("watch")
def watch(operation_id: OperationId, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Follow an operation until it is over."""
    with output.connected(server, caller) as client:
        for found in client.watch_operation(operation_id):
            if as_json:
                output.print_json(found)
            else:
                output.echo(f"{found.id} {_state(found)}, {_progress(found)}")


@app.command("cancel")
def cancel(
    operation_id: OperationId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    request_id: Annotated[str, typer.Option(help="Idempotency key; the same again answers from the record.")] = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Stop an operation; of today's kinds a daily run."""
    with output.connected(server, caller) as client:
        found = client.cancel_operation(operation_id, reason=reason, request_id=request_id)
    _show([found], as_json=as_json)


def _state(found: pb.Operation) -> str:
    from holdline.v1 import operation_service_pb2

    return operation_service_pb2.OperationState.Name(found.state).removeprefix("OPERATION_STATE_").lower()


def _progress(found: pb.Operation) -> str:
    return f"{found.done:,} of {found.total:,}" if found.HasField("total") else f"{found.done:,}"


def _show(found: list[pb.Operation], *, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            one.id,
            _state(one),
            _progress(one),
            one.started_by.caller or "–",
            one.started_at.ToJsonString() if one.HasField("started_at") else "–",
            one.ended_at.ToJsonString() if one.HasField("ended_at") else "–",
        )
        for one in found
    ]
    output.table("Operations", ("operation", "state", "accounts", "by", "begun (UTC)", "ended (UTC)"), rows)
