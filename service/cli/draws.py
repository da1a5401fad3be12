"""`holdline draw authorize | capture | void | repay | list | holds`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.v1 import draw_pb2

app = typer.Typer(no_args_is_help=True, help="Use the limit: hold, capture, release, pay back.")

Account = Annotated[str, typer.Argument(help="The account's id.")]
HoldId = Annotated[str, typer.Argument(help="The hold's id, 16 hexadecimal digits.")]
Amount = Annotated[str, typer.Argument(help="CURRENCY:MINOR, for example CNY:12500 for 125.00 yuan.")]
Reference = Annotated[str, typer.Option(help="Your own reference, such as an order's number; stored and listed.")]
RequestId = Annotated[str, typer.Option(help="Idempotency key; the same again answers from the record.")]


def _show(posting: draw_pb2.Posting, *, as_json: bool) -> None:
    if as_json:
        output.print_json(posting)
    else:
        _table("Posting", [posting])
        for reason in posting.reasons:
            output.echo_text(f"{reason.code}: {output.both(reason.texts)}")


def _table(title: str, postings: list[draw_pb2.Posting]) -> None:
    rows = [
        (
            posting.posting_id,
            posting.posted_at.ToJsonString(),
            output.posting_kind(posting),
            output.outcome(posting),
            output.amount(posting.amount),
            posting.hold.hold_id or "–",
            posting.reference or "–",
            output.amount(posting.balances.held),
            output.amount(posting.balances.outstanding),
            output.amount(posting.balances.available),
        )
        for posting in postings
    ]
    columns = ("id", "when (UTC)", "kind", "outcome", "amount", "hold", "reference", "held", "outstanding", "available")
    output.table(title, columns, rows)


@app.command("authorize")
def authorize(
    account_id: Account,
    amount: Amount,
    ttl_seconds: Annotated[int, typer.Option(min=0, help="How long the hold counts; 0 for 7 days.")] = 0,
    reference: Reference = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Hold an amount against the limit."""
    with output.connected(server, caller) as client:
        posting = client.authorize(
            account_id, output.money_said(amount), ttl_seconds=ttl_seconds, reference=reference, request_id=request_id
        )
    _show(posting, as_json=as_json)


@app.command("capture")
def capture(
    account_id: Account,
    hold_id: HoldId,
    amount: Amount,
    is_final: Annotated[bool, typer.Option("--final", help="Release what is left of the hold.")] = False,
    reference: Reference = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Move all or part of a hold to what is owed."""
    with output.connected(server, caller) as client:
        posting = client.capture(
            account_id,
            hold_id,
            output.money_said(amount),
            is_final=is_final,
            reference=reference,
            request_id=request_id,
        )
    _show(posting, as_json=as_json)


@app.command("void")
def void(
    account_id: Account,
    hold_id: HoldId,
    reference: Reference = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Release what is left of a hold."""
    with output.connected(server, caller) as client:
        posting = client.void(account_id, hold_id, reference=reference, request_id=request_id)
    _show(posting, as_json=as_json)


@app.command("repay")
def repay(
    account_id: Account,
    amount: Amount,
    reference: Reference = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Take a repayment off what is owed."""
    with output.connected(server, caller) as client:
        posting = client.repay(account_id, output.money_said(amount), reference=reference, request_id=request_id)
    _show(posting, as_json=as_json)


@app.command("list")
def postings(
    account_id: Account,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List an account's draws and repayments, newest first, declined ones included."""
    from itertools import islice

    with output.connected(server, caller) as client:
        found = list(islice(client.postings(account_id, page_size=min(count, 1_000)), count))
    if as_json:
        output.print_json(found)
    else:
        _table("Draws and repayments", found)


@app.command("holds")
def holds(
    account_id: Account,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that count against the limit now.")] = False,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List an account's holds as they stand now, newest first."""
    from itertools import islice

    from holdline.v1 import draw_pb2

    states = [draw_pb2.HOLD_STATE_OPEN] if is_open else []
    with output.connected(server, caller) as client:
        found = list(islice(client.holds(account_id, states=states, page_size=min(count, 1_000)), count))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            hold.hold_id, draw_pb2.HoldState.Name(hold.state).removeprefix("HOLD_STATE_").lower(),
            output.amount(hold.authorised), output.amount(hold.captured), output.amount(hold.left),
            hold.expires_at.ToJsonString(), hold.reference or "–",
        )
        for hold in found
    ]  # fmt: skip
    output.table("Holds", ("id", "state", "authorised", "captured", "left", "expires (UTC)", "reference"), rows)
