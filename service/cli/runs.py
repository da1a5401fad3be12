"""`holdline run`: start, resume, show, list, watch, cancel, close, closing, closings, make-good, short, promises."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, PROMISE_BROKEN, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.client import Client
    from holdline.v1 import run_service_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="The daily run of promised raises, and the closing of business days.")

Day = Annotated[str, typer.Argument(help="The business date, YYYY-MM-DD.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
RequestId = Annotated[str, typer.Option(help="Idempotency key; the same again answers from the record.")]
Count = Annotated[int, typer.Option(min=1, max=10_000, help="Most to show, newest first.")]
States = Annotated[list[str] | None, typer.Option("--state", help="Only those in this state; may be said again.")]
Wait = Annotated[bool, typer.Option(help="Stay until it is over, with a progress bar.")]
POLL_SECONDS = 0.5
SHOWN = 20
LEFT_SHORT = "left short"
STATES = ("running", "done", "cancelled")
CLOSING_STATES = ("closing", "closed", "making_good", "made_good")


@app.command("start")
def start(
    business_date: Day,
    wait: Wait = True,
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Start a date's run; one that was cancelled goes on with `resume` only."""
    with output.connected(server, caller) as client:
        run = client.start_run(business_date, request_id=request_id)
        if wait:
            run = _watched(client.watch_run(business_date), is_quiet=as_json) or run
    _show_run(run, as_json=as_json)


@app.command("resume")
def resume(
    business_date: Day,
    reason: Reason,
    wait: Wait = True,
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Let a cancelled run go on from where it was stopped."""
    with output.connected(server, caller) as client:
        run = client.resume_run(business_date, reason=reason, request_id=request_id)
        if wait:
            run = _watched(client.watch_run(business_date), is_quiet=as_json) or run
    _show_run(run, as_json=as_json)


@app.command("list")
def runs(
    states: States = None,
    count: Count = 31,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List runs, newest date first."""
    with output.connected(server, caller) as client:
        found = list(islice(client.list_runs(output.chosen(states, STATES), page_size=min(count, 1_000)), count))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            run.business_date,
            _name(run, "state"),
            f"{run.looked:,} of {run.accounts:,}",
            f"{run.granted:,}",
            f"{run.withheld:,}",
            run.started_by.caller,
        )
        for run in found
    ]
    output.table("Daily runs", ("date", "state", "looked at", "granted", "withheld", "started by"), rows)


@app.command("show")
def show(business_date: Day, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Show how far a run is."""
    with output.connected(server, caller) as client:
        run = client.run(business_date)
    _show_run(run, as_json=as_json)


@app.command("watch")
def watch(business_date: Day, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Follow a run until it is over."""
    with output.connected(server, caller) as client:
        run = _watched(client.watch_run(business_date), is_quiet=as_json)
    if run is not None:
        _show_run(run, as_json=as_json)


@app.command("cancel")
def cancel(
    business_date: Day,
    reason: Reason,
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Stop a run; what was raised stays raised, and `resume` goes on from there."""
    with output.connected(server, caller) as client:
        run = client.cancel_run(business_date, reason=reason, request_id=request_id)
    _show_run(run, as_json=as_json)


@app.command("close")
def close(
    business_date: Day,
    wait: Wait = True,
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Close a date: what was promised must be granted or withheld. Ends with 1 where it does not add up."""
    with output.connected(server, caller) as client:
        _end_closing(client, client.close_day(business_date, request_id=request_id), wait=wait, as_json=as_json)


@app.command("closing")
def closing(business_date: Day, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Show how far a closing is. Ends with 1 where something of the date is not settled."""
    with output.connected(server, caller) as client:
        _end_closing(client, client.closing(business_date), wait=False, as_json=as_json)


@app.command("closings")
def closings(
    states: States = None,
    count: Count = 31,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List closings, newest date first."""
    with output.connected(server, caller) as client:
        found = list(islice(client.closings(output.chosen(states, CLOSING_STATES), page_size=min(count, 1_000)), count))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            one.business_date,
            _name(one, "state"),
            f"{one.accounts:,}",
            f"{sum(line.due for line in one.lines):,}",
            one.incident or "–",
            one.asked_by.caller,
        )
        for one in found
    ]
    output.table("Closings", ("date", "state", "accounts", "due", "incident", "asked by"), rows)


@app.command("make-good")
def make_good(
    business_date: Day,
    reason: Reason,
    wait: Wait = True,
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Raise everybody for whom a closed date is missing a raise. Ends with 1 where something is left."""
    with output.connected(server, caller) as client:
        begun = client.make_good(business_date, reason=reason, request_id=request_id)
        _end_closing(client, begun, wait=wait, as_json=as_json)


def _end_closing(client: Client, closing: pb.Closing, *, wait: bool, as_json: bool) -> None:
    """Wait for a closing where asked, show it, and end with 1 where something of the date is not settled."""
    while wait and not closing.HasField("ended_at"):
        time.sleep(POLL_SECONDS)
        closing = client.closing(closing.business_date)
    differing = list(islice(client.discrepancies(closing.business_date), SHOWN))
    _show_closing(closing, differing, as_json=as_json)
    if any(_name(count, "kind") != LEFT_SHORT and count.made_good < count.accounts for count in closing.discrepancies):
        raise typer.Exit(PROMISE_BROKEN)


@app.command("short")
def short(
    business_date: Day,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List the accounts that a date left short because it was run after a later one."""
    with output.connected(server, caller) as client:
        found = (one for one in client.discrepancies(business_date) if _name(one, "kind") == LEFT_SHORT)
        shown = list(islice(found, count))
    if as_json:
        output.print_json(shown)
        return
    rows = [(one.account_id, one.detail) for one in shown]
    output.table(f"Left short on {business_date}", ("account", "why"), rows)


@app.command("promises")
def promises(
    account_id: Annotated[str, typer.Argument(help="The account's id.")],
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List an account's promised raises, newest first, and what became of each."""
    with output.connected(server, caller) as client:
        found = list(islice(client.entitlements(account_id, page_size=min(count, 1_000)), count))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            one.business_date,
            _name(one, "state"),
            one.reason_code,
            output.amount(one.promised),
            output.amount(one.granted),
            one.policy_version,
            one.segment,
            one.decision_id,
        )
        for one in found
    ]
    columns = ("date", "became", "reason", "promised", "granted", "policy", "segment", "decision")
    output.table("Promises", columns, rows)


def _watched(seen: Iterable[pb.DailyRun], *, is_quiet: bool) -> pb.DailyRun | None:
    """Follow a run with a progress bar; gives it as it ended."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    run: pb.DailyRun | None = None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=is_quiet) as progress:
        bar = progress.add_task("accounts", total=None)
        began, first = time.monotonic(), -1
        for run in seen:
            first = run.looked if first < 0 else first
            rate = (run.looked - first) / max(time.monotonic() - began, 0.001)
            progress.update(
                bar, completed=run.looked, total=run.accounts or None, description=f"accounts, {rate:,.0f}/s"
            )
    return run


def _name(message: pb.DailyRun | pb.Closing | pb.Discrepancy | pb.DiscrepancyCount | pb.Entitlement, field: str) -> str:
    """Write an enum's value for people: "running"."""
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    assert enum is not None, "only enums are named"
    value: str = enum.values_by_number[getattr(message, field)].name
    prefix: str = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return value.removeprefix(prefix).lower().replace("_", " ")


def _show_run(run: pb.DailyRun, *, as_json: bool) -> None:
    if as_json:
        output.print_json(run)
        return
    seconds = run.ended_at.ToMilliseconds() / 1_000 - run.started_at.ToMilliseconds() / 1_000
    is_over = run.HasField("ended_at")
    rows = [
        ("date", f"{run.business_date}, {_name(run, 'state')}"),
        ("started", f"{run.started_at.ToJsonString()} by {run.started_by.caller}"),
        ("accounts", f"{run.looked:,} of {run.accounts:,} looked at"),
        ("raises", f"{run.granted:,} granted, {run.withheld:,} withheld with a reason"),
        ("shards", f"{run.shards_done:,} of {run.shards:,} done"),
        *([("waits for", f"{run.waits_for}, which comes first")] if run.waits_for else []),
        *([("left short", f"{run.left_short:,} accounts: run short {run.business_date}")] if run.left_short else []),
        *([("took", f"{seconds:.1f} s, {run.looked / max(seconds, 0.001):,.0f} accounts/s")] if is_over else []),
    ]
    output.table("Daily run", ("", ""), rows)


def _show_closing(closing: pb.Closing, differing: list[pb.Discrepancy], *, as_json: bool) -> None:
    if as_json:
        output.print_json(closing)
        return
    rows = [
        (line.policy_version, line.segment, f"{line.due:,}", f"{line.granted:,}", f"{line.withheld:,}")
        for line in closing.lines
    ]
    title = f"{closing.business_date}: {_name(closing, 'state')}, {closing.accounts:,} accounts"
    output.table(title, ("policy", "segment", "due", "granted", "withheld"), rows)
    if closing.waits_for:
        output.echo(f"It waits for {closing.waits_for}, which comes first.")
    if not closing.discrepancies:
        output.echo("The day adds up: every promise is granted, or withheld with a reason.")
        return
    for count in closing.discrepancies:
        made_good = "" if _name(count, "kind") == LEFT_SHORT else f", {count.made_good:,} made good"
        output.echo(f"{count.accounts:,} accounts {_name(count, 'kind')}{made_good}")
    shown = [(one.account_id, _name(one, "kind"), one.detail, one.decision_id or "–") for one in differing]
    title = f"Incident {closing.incident}" if closing.incident else "No incident"
    output.table(f"{title} (first {SHOWN})", ("account", "how", "found", "made good by"), shown)
