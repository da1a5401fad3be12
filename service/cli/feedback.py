"""`holdline feedback send | survey | report` and `holdline appeal submit | list | show | notes | resolve`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.decisions import facts_said
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.v1 import feedback_service_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="What customers say, and which rules upset them.")
appeals = typer.Typer(no_args_is_help=True, help="Appeals against decisions, and their resolution.")
CATEGORIES = ("unclear", "unfair", "wrong_data", "praise", "other")
STATES = ("open", "awaiting_second", "resolved")

AccountId = Annotated[str, typer.Argument(help="The account's id.")]
DecisionId = Annotated[str, typer.Option("--decision", help="The decision that it is about.")]
RequestId = Annotated[str, typer.Option(help="Idempotency key; the same again answers from the record.")]
Words = Annotated[str, typer.Option("--text", help="The customer's words.")]
CaseId = Annotated[str, typer.Argument(help="C and the number of the case.")]


def _recorded(sent: pb.SubmitFeedbackResponse | pb.SubmitSurveyResponse, *, as_json: bool) -> None:
    if as_json:
        output.print_json(sent)
    else:
        output.echo(f"{sent.feedback_id} recorded" + (" before" if sent.replayed else ""))


@app.command("send")
def send(
    account_id: AccountId,
    category: Annotated[str, typer.Argument(help="unclear, unfair, wrong_data, praise or other.")],
    text: Words = "",
    decision_id: DecisionId = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Record what a customer said."""
    with output.connected(server, caller) as client:
        sent = client.feedback(
            account_id, output.choice(category, CATEGORIES), text, decision_id=decision_id, request_id=request_id
        )
    _recorded(sent, as_json=as_json)


@app.command("survey")
def survey(
    account_id: AccountId,
    score: Annotated[int, typer.Argument(min=1, max=5, help="1 (worst) to 5 (best).")],
    text: Words = "",
    decision_id: DecisionId = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Record how content a customer is."""
    with output.connected(server, caller) as client:
        sent = client.survey(account_id, score, text, decision_id=decision_id, request_id=request_id)
    _recorded(sent, as_json=as_json)


@app.command("report")
def report(
    days: Annotated[int, typer.Option(min=1, max=366, help="Days up to now, against as many before.")] = 30,
    product: Annotated[str, typer.Option(help="One product; all where empty.")] = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Show which rules upset customers: complaints and appeals by reason code and policy version, with their trend."""
    with output.connected(server, caller) as client:
        found = client.feedback_report(days, product)
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            line.reason_code or "(no decision)",
            line.policy_version or "–",
            str(line.complaints),
            str(line.appeals),
            str(line.complaints_before),
            _trend(line.complaints, line.complaints_before),
        )
        for line in found.lines
    ]
    columns = ("reason", "policy", "complaints", "appeals", f"{days} days before", "trend")
    output.table(f"Complaints of {days} days", columns, rows)
    asked = sum(one.count for one in found.surveys)
    mean = sum(one.score * one.count for one in found.surveys) / asked if asked else 0
    surveys = f"; {asked} surveys, {mean:.1f} of 5 in the mean" if asked else ""
    output.echo(f"{found.complaints} of {found.voices} customers heard are upset{surveys}")
    if found.is_cut_off:
        output.echo("There are more; the oldest are left out.", fg="yellow")


def _trend(now: int, before: int) -> str:
    if now == before:
        return "="
    return ("▲" if now > before else "▼") + (f" {(now - before) * 100 // before:+d} %" if before else " new")


@appeals.command("submit")
def submit(
    account_id: AccountId,
    decision_id: Annotated[str, typer.Argument(help="The decision's id, 16 hexadecimal digits.")],
    statement: Annotated[str, typer.Argument(help="What the customer says.")],
    fact: Annotated[list[str] | None, typer.Option(help="A corrected fact, name=value or name=CUR:MINOR.")] = None,
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Open a case against a decision that refused or cut something."""
    with output.connected(server, caller) as client:
        opened = client.appeal(account_id, decision_id, statement, facts=facts_said(fact), request_id=request_id)
    _show([opened.case], as_json=as_json)


@appeals.command("list")
def cases(
    account: Annotated[str, typer.Option(help="The cases of this account only.")] = "",
    states: Annotated[
        list[str] | None,
        typer.Option("--state", help="open, awaiting_second or resolved; may be said again, all without it."),
    ] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their service level.")] = False,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show, newest first.")] = 50,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List cases, newest first."""
    wanted = output.chosen(states, STATES)
    with output.connected(server, caller) as client:
        found = client.cases(wanted, account_id=account, only_overdue=overdue, page_size=min(count, 1_000))
        _show(list(islice(found, count)), as_json=as_json)


@appeals.command("notes")
def notes(
    case_id: CaseId,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show, oldest first.")] = 100,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Show what reviewers said on a case."""
    with output.connected(server, caller) as client:
        found = list(islice(client.case_notes(case_id, page_size=min(count, 1_000)), count))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            one.at.ToJsonString(),
            one.actor.caller,
            output.case_action(one),
            output.amount(one.limit) if one.HasField("limit") else "–",
            one.note,
        )
        for one in found
    ]
    output.table(f"Notes on {case_id}", ("at (UTC)", "by", "did", "limit", "why"), rows)


@appeals.command("show")
def show(case_id: CaseId, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Show a case with the decision that it appeals and why that came out so."""
    with output.connected(server, caller) as client:
        found = client.case(case_id)
    if as_json:
        output.print_json(found)
        return
    _show([found.case], as_json=False)
    output.echo_text(found.case.appeal.statement)
    output.show_decision(found.decision, replayed=False)
    for summary in found.summaries:
        output.echo_text(summary.text)


@appeals.command("resolve")
def resolve(
    case_id: CaseId,
    note: Annotated[str, typer.Option(help="Why, for the next reviewer.")],
    overturn: Annotated[
        str, typer.Option(help="Give this limit, CURRENCY:MINOR; the decision stands without it.")
    ] = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Uphold the decision, or overturn it by giving a limit; above the threshold a second person says the same."""
    limit = output.money_said(overturn) if overturn else None
    with output.connected(server, caller) as client:
        resolved = client.resolve(case_id, note, new_limit=limit, request_id=request_id)
    _show([resolved.case], as_json=as_json)


def _show(found: list[pb.Case], *, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            case.case_id,
            case.account_id,
            case.appeal.decision_id,
            output.case_state(case) + (", overdue" if case.is_overdue else ""),
            output.amount(case.appeal.suggested_limit) if case.appeal.HasField("suggested_limit") else "–",
            case.due_at.ToJsonString(),
            case.result_decision_id or "–",
        )
        for case in found
    ]
    output.table("Cases", ("case", "account", "decision", "state", "suggested", "due (UTC)", "result"), rows)
