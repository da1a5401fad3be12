"""`holdline decide | evaluate | explain | decision | decisions`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdline.v1 import decision_pb2, money_pb2

Fact = Annotated[
    list[str] | None,
    typer.Option("--fact", help="A fact as name=value, amounts as name=CNY:1200000 in minor units; repeat for more."),
]
Account = Annotated[str, typer.Argument(help="The account's id.")]
Kind = Annotated[str, typer.Argument(help="assign, raise, reduce or review.")]
Product = Annotated[str, typer.Option(help="The product, needed for assign.")]
KINDS = ("assign", "raise", "reduce", "review")


def facts_said(pairs: list[str] | None) -> dict[str, int | money_pb2.Money]:
    """Read facts as they are said on the command line, name=value or name=CURRENCY:MINOR."""
    from holdline.client import requests

    facts: dict[str, int | money_pb2.Money] = {}
    for pair in pairs or []:
        name, _, value = pair.partition("=")
        if ":" in value:
            facts[name] = output.money_said(value)
        elif re.fullmatch(r"-?[0-9]{1,40}", value):
            facts[name] = int(value)
        else:
            raise output.wrong(f"{pair} is not name=value with a whole number, nor name=CURRENCY:MINOR")
    try:
        requests.facts_of(facts)
    except ValueError as error:
        raise output.wrong(f"{error}; amounts are written name=CNY:1200000, in minor units") from error
    return facts


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise output.wrong(f"{kind} is no kind of decision; choose from {', '.join(KINDS)}")
    return kind


def decide(
    account_id: Account,
    kind: Kind,
    product: Product = "",
    fact: Fact = None,
    request_id: Annotated[str, typer.Option(help="Idempotency key; the same again answers from the record.")] = "",
    expected_version: Annotated[int, typer.Option(help="Refuse unless the account is at this version.")] = 0,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Make one durable decision.

    holdline decide c-1 assign --product revolving --fact bureau_score=720 --fact monthly_income=CNY:1200000
    """
    with output.connected(server, caller) as client:
        response = client.decide(
            account_id,
            _kind(kind),
            product=product,
            facts=facts_said(fact),
            request_id=request_id,
            expected_version=expected_version,
        )
    if as_json:
        output.print_json(response)
    else:
        output.show_decision(response.decision, replayed=response.replayed)


def evaluate(
    account_id: Account,
    kind: Kind,
    product: Product = "",
    fact: Fact = None,
    policy_version: Annotated[str, typer.Option(help="Evaluate with this version instead of the active one.")] = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Compute what decide would answer, and write nothing."""
    with output.connected(server, caller) as client:
        response = client.evaluate(
            account_id, _kind(kind), product=product, facts=facts_said(fact), policy_version=policy_version
        )
    if as_json:
        output.print_json(response)
        return
    output.show_decision(response.decision, replayed=False)
    _score(response.contributions)


def _score(contributions: Iterable[decision_pb2.Contribution]) -> None:
    """Show what each characteristic gave, and what its fact was: a dash where it was missing or too old."""
    rows = [
        (
            piece.characteristic,
            output.fact_value(piece, piece.value),
            f"{piece.points}/{piece.points_max}",
            piece.reason_code if piece.points < piece.points_max else "",
        )
        for piece in contributions
    ]
    if rows:
        output.table("Score", ("characteristic", "value", "points", "costs points"), rows)


def explain(
    decision_id: Annotated[str, typer.Argument(help="The decision's id, 16 hexadecimal digits.")],
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Tell why a decision came out as it did, in Chinese and English, with advice that was checked."""
    with output.connected(server, caller) as client:
        response = client.explain(decision_id)
    if as_json:
        output.print_json(response)
        return
    for summary in response.summaries:
        output.echo_text(summary.text)
    rows = [
        (
            finding.path,
            finding.reason_code,
            finding.requirement,
            output.fact_value(finding, finding.value),
        )
        for finding in response.findings
    ]
    output.table("Rules that took part", ("rule", "reason", "asks for", "found"), rows)
    _score(response.contributions)
    _advice(response.advice)


def _advice(advice: decision_pb2.Advice) -> None:
    """Show the changes that were found to do, with what follows from all of them."""
    way = advice.ask_again if advice.HasField("ask_again") else advice.change_together
    rows = [
        (
            change.fact,
            output.fact_value(change, change.current),
            output.amount(change.target.amount) if change.target.HasField("amount") else str(change.target.number),
            output.amount(way.limit_then),
        )
        for change in way.changes
    ]
    if rows:
        from_date = advice.ask_again.from_date
        title = f"From {from_date} on, together" if from_date else "Together these would do"
        output.table(title, ("fact", "now", "then", "limit"), rows)


def decision(
    decision_id: Annotated[str, typer.Argument(help="The decision's id, 16 hexadecimal digits.")] = "",
    request_id: Annotated[str, typer.Option(help="In its place: the request id that this caller made it with.")] = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Show one decision as it was recorded."""
    if bool(decision_id) == bool(request_id):
        raise output.wrong("say which decision: its id, or --request-id with the one that it was made with")
    with output.connected(server, caller) as client:
        found = client.decision(decision_id, request_id=request_id)
    if as_json:
        output.print_json(found)
    else:
        output.show_decision(found, replayed=False)


def _chosen(names: list[str] | None, enum: str) -> list[int]:
    """Give the numbers of an enum of the contract by their short names, such as "raise"."""
    from holdline.v1 import decision_pb2

    prefix, values = (
        ("OUTCOME_", decision_pb2.Outcome) if enum == "outcome" else ("DECISION_KIND_", decision_pb2.DecisionKind)
    )
    known = {name.removeprefix(prefix).lower(): number for name, number in values.items() if number}
    for name in names or []:
        if name not in known:
            raise output.wrong(f"{name} is no {enum} of decisions; choose from {', '.join(known)}")
    return [known[name] for name in names or []]


def decisions(
    account_id: Account,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    kind: Annotated[list[str] | None, typer.Option(help="Only of this kind, such as raise; repeat for more.")] = None,
    outcome: Annotated[list[str] | None, typer.Option(help="Only with this outcome; repeat for more.")] = None,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List an account's decisions, newest first."""
    found = []
    kinds, outcomes = _chosen(kind, "kind"), _chosen(outcome, "outcome")
    with output.connected(server, caller) as client:
        for decision in client.decisions(account_id, page_size=min(count, 1_000), kinds=kinds, outcomes=outcomes):
            found.append(decision)
            if len(found) == count:
                break
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            decision.decision_id,
            decision.decided_at.ToJsonString(),
            output.kind(decision),
            output.outcome(decision),
            f"{output.amount(decision.old_limit)} → {output.amount(decision.new_limit)}",
            ", ".join(reason.code for reason in decision.reasons),
            decision.policy_version,
        )
        for decision in found
    ]
    output.table("Decisions", ("id", "when (UTC)", "kind", "outcome", "limit", "reasons", "policy"), rows)
