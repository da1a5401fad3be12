"""What every command shares: the options that name a server, tables for people, JSON for scripts, exit codes.

Promises that every text from outside reaches the terminal through here, without what a terminal would obey.

Exit codes: 0 done, 1 a promise does not hold (verify, replay, demo), 2 the command line is wrong, 3 the server refused
the request, 4 the server is out of reach or too busy (try again), 5 the store or the machine does not let it start,
130 stopped by Ctrl-C or by a "no", 141 whoever read the output has gone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from service import printable
from service.cli import tables
from service.domain.money import MINOR_MAX, currency_fault, display, is_currency

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from holdline.client import Client
    from holdline.v1 import (
        account_pb2,
        decision_pb2,
        draw_pb2,
        feedback_service_pb2,
        money_pb2,
        notification_service_pb2,
        run_service_pb2,
        text_pb2,
    )
    from holdline.v1 import playbook_service_pb2 as pb

PROMISE_BROKEN: Final = 1
REFUSED: Final = 3
UNREACHABLE: Final = 4

Server = Annotated[str, typer.Option("--server", envvar="HOLDLINE_SERVER", help="Address of a running server.")]
Caller = Annotated[str, typer.Option("--caller", help="Name of this caller; its idempotency keys are its own.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
SERVER: Final = "127.0.0.1:50051"
CALLER: Final = "cli"
INT64_MAX: Final = 2**63 - 1
PORT_MAX: Final = 65_535
_ADDRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@contextmanager
def connected(server: str, caller: str) -> Iterator[Client]:
    """Give a client; ends the command with its exit code where a call fails."""
    from holdline.client import Client, DeadlineExceeded, HoldlineError, Unavailable

    try:
        with Client(address_said(server, "--server"), caller=caller, timeout_seconds=10.0) as client:
            yield client
    except HoldlineError as error:
        echo(f"{error.reason or type(error).__name__}: {error}", fg="red", err=True)
        for violation in error.violations:
            echo(f"  {violation.field}: {violation.description}", err=True)
        for name, value in error.metadata.items():
            # Which role is needed, which playbooks there are: the way out.
            echo(f"  {name}: {value}", err=True)
        unreachable = isinstance(error, Unavailable | DeadlineExceeded)
        raise typer.Exit(UNREACHABLE if unreachable else REFUSED) from error
    except (ValueError, OverflowError) as error:
        # No message can be made of what was said.
        raise wrong(str(error)) from error


def address_said(text: str, option: str) -> str:
    """Read the address of a server; raises typer.BadParameter for what gRPC would take for another port or name."""
    address = text.strip()
    if address.startswith(("dns:", "unix:", "ipv4:", "ipv6:")) and address.isascii() and address.isprintable():
        return address
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[1]) > PORT_MAX:
        raise wrong(f"{option}: {text or 'nothing'} is no address; write HOST:PORT, for example {SERVER}")
    return address


def echo(text: str, *, fg: str | None = None, bold: bool | None = None, err: bool = False) -> None:
    """Print one line, in which texts from outside may stand."""
    typer.secho(printable.line(text), fg=fg, bold=bold, err=err)


def echo_text(text: str) -> None:
    """Print a text of several lines from outside."""
    typer.echo(printable.lines(text))


def fail(text: str, exit_code: int) -> NoReturn:
    """End the command with a sentence and an exit code."""
    echo(text, fg="red", err=True)
    raise typer.Exit(exit_code)


def wrong(text: str) -> typer.BadParameter:
    """Give the error that ends a command with exit code 2 and a sentence."""
    return typer.BadParameter(printable.line(text))


def confirm(question: str) -> None:
    """Ask whether to go on; ends the command where not."""
    typer.confirm(printable.line(question), abort=True)


def print_json(content: Message | Sequence[Message] | object) -> None:
    """Print a message, messages or plain data as JSON with the contract's field names."""
    from google.protobuf.message import Message

    if isinstance(content, Message):
        content = _plain(content)
    elif isinstance(content, list) and content and isinstance(content[0], Message):
        content = [_plain(message) for message in content]
    typer.echo(printable.json_text(json.dumps(content, ensure_ascii=False, indent=2)))


def _plain(message: Message) -> object:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; where the terminal is too narrow for it, each row as a list of its fields."""
    from rich.console import Console

    shown = [tuple(map(printable.lines, row)) for row in rows]
    # Names and reasons are people's own words: no ":guard:" turns into a picture, no "[bold]" into a style.
    console = Console(emoji=False, markup=False)
    console.print(tables.drawn(printable.line(title), columns, shown, console.width))


def amount(money: money_pb2.Money) -> str:
    """Write an amount for people."""
    return display(money.minor_units, money.currency_code)


def money_of(text: str) -> money_pb2.Money:
    """Read an amount written as CURRENCY:MINOR; raises ValueError, whose text names what is wrong."""
    from holdline.v1 import money_pb2

    currency, _, minor = text.rpartition(":")
    if not re.fullmatch(r"[A-Za-z]{3}:-?[0-9]{1,40}", text):
        raise ValueError(f"{text} is not CURRENCY:MINOR with a whole number, for example CNY:12500")
    if not is_currency(currency):
        raise ValueError(f"{text}: {currency_fault(currency)}")
    if abs(int(minor)) > INT64_MAX:
        raise ValueError(f"{text} is more than an amount can be; amounts go up to {MINOR_MAX}")
    return money_pb2.Money(minor_units=int(minor), currency_code=currency)


def money_said(text: str) -> money_pb2.Money:
    """Read an amount of the command line, CURRENCY:MINOR; raises typer.BadParameter."""
    try:
        return money_of(text)
    except ValueError as error:
        raise wrong(str(error)) from error


def text_of(file: Path) -> str:
    """Read a file of people's text; raises typer.BadParameter where it can't be read or is no UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(f"{file} can't be read as text: {error}") from error


def outcome(record: decision_pb2.Decision | draw_pb2.Posting) -> str:
    """Write an outcome for people: "approved"."""
    return outcome_name(record.outcome)


def posting_kind(posting: draw_pb2.Posting) -> str:
    """Write a posting's kind for people: "authorize"."""
    from holdline.v1 import draw_pb2

    return draw_pb2.PostingKind.Name(posting.kind).removeprefix("POSTING_KIND_").lower()


def discrepancy_kind(found: run_service_pb2.Discrepancy) -> str:
    """Give a discrepancy's kind in small letters."""
    from holdline.v1 import run_service_pb2

    return run_service_pb2.DiscrepancyKind.Name(found.kind).removeprefix("DISCREPANCY_KIND_").lower()


def message_state(message: notification_service_pb2.Notice | notification_service_pb2.Alert) -> str:
    """Give the state of a notice or alert in small letters."""
    from holdline.v1 import notification_service_pb2

    return notification_service_pb2.MessageState.Name(message.state).removeprefix("MESSAGE_STATE_").lower()


def severity(alert: notification_service_pb2.Alert) -> str:
    """Give an alert's severity in small letters."""
    from holdline.v1 import notification_service_pb2

    return notification_service_pb2.AlertSeverity.Name(alert.severity).removeprefix("ALERT_SEVERITY_").lower()


def case_state(case: feedback_service_pb2.Case) -> str:
    """Give what became of a case, or where it stands, in small letters."""
    from holdline.v1 import feedback_service_pb2

    if case.state == feedback_service_pb2.CASE_STATE_RESOLVED:
        return feedback_service_pb2.Resolution.Name(case.resolution).removeprefix("RESOLUTION_").lower()
    return feedback_service_pb2.CaseState.Name(case.state).removeprefix("CASE_STATE_").lower()


def case_action(note: feedback_service_pb2.CaseNote) -> str:
    """Give what somebody did about a case in small letters."""
    from holdline.v1 import feedback_service_pb2

    return feedback_service_pb2.CaseAction.Name(note.action).removeprefix("CASE_ACTION_").lower()


def choice(value: str, known: Sequence[str]) -> str:
    """Give a value that is one of those known; raises typer.BadParameter."""
    if value not in known:
        raise wrong(f"{value} is not one of {', '.join(filter(None, known))}")
    return value


def chosen(values: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Give what a filter names, nothing where it is not there; raises typer.BadParameter."""
    return [choice(value, known) for value in values or ()]


def outcome_name(number: decision_pb2.Outcome.ValueType) -> str:
    """Write an outcome for people by its number; 0 stands for a refused call."""
    from holdline.v1 import decision_pb2

    return decision_pb2.Outcome.Name(number).removeprefix("OUTCOME_").lower() if number else "refused"


def kind(decision: decision_pb2.Decision | pb.PreviewTransition | pb.PreviewSample) -> str:
    """Write a kind for people: "raise"."""
    from holdline.v1 import decision_pb2

    return decision_pb2.DecisionKind.Name(decision.kind).removeprefix("DECISION_KIND_").lower()


def both(texts: Iterable[text_pb2.LocalizedText]) -> str:
    """Write a text in every language that it came in."""
    return " ".join(one.text for one in texts)


def playbooks_of(decision: decision_pb2.Decision) -> str:
    """Write the activations that took part: "A17@cap_growth/v1"."""
    return ", ".join(f"{one.id}@{one.playbook}/v{one.version}" for one in decision.activations)


def fact_value(
    part: decision_pb2.Contribution | decision_pb2.RuleFinding | decision_pb2.FactChange, value: decision_pb2.FactValue
) -> str:
    """Write the value of a fact, or why there is none; a dash where no fact is concerned."""
    from holdline.v1 import decision_pb2

    if part.standing != decision_pb2.FACT_STANDING_KNOWN:
        return {decision_pb2.FACT_STANDING_MISSING: "missing", decision_pb2.FACT_STANDING_STALE: "too old"}.get(
            part.standing, "–"
        )
    return amount(value.amount) if value.HasField("amount") else str(value.number)


def show_decision(decision: decision_pb2.Decision, *, replayed: bool) -> None:
    """Print a decision for people."""
    rows = [
        ("decision", decision.decision_id or "(not written)"),
        ("account", f"{decision.account_id}, version {decision.account_version}"),
        ("outcome", f"{kind(decision)} {outcome(decision)}" + (", answered from the record" if replayed else "")),
        ("limit", f"{amount(decision.old_limit)} → {amount(decision.new_limit)}"),
        *([("may owe now", amount(decision.balances.effective_limit))] if decision.HasField("temporary_raise") else []),
        ("score", str(decision.score) if decision.HasField("score") else "–"),
        *((f"reason {reason.code}", both(reason.texts)) for reason in decision.reasons),
        ("policy, mode", f"{decision.policy_version}, {decision.mode_id}"),
        *((("playbooks", playbooks_of(decision)),) if decision.activations else ()),
        ("request", f"{decision.caller}/{decision.request_id}"),
    ]
    table("Decision", ("", ""), rows)


def _temporary(raised: account_pb2.TemporaryRaise) -> str:
    return f"{amount(raised.extra)} until {raised.until.ToJsonString()}"


def show_account(account: account_pb2.Account) -> None:
    """Print an account for people."""
    from holdline.v1 import account_pb2, money_pb2

    balances = account.balances
    rows = [
        ("account", f"{account.account_id}, version {account.version}"),
        ("product", account.product),
        ("status", account_pb2.AccountStatus.Name(account.status).removeprefix("ACCOUNT_STATUS_").lower()),
        ("limit", amount(balances.limit)),
        *([("and until", _temporary(account.temporary_raise))] if account.HasField("temporary_raise") else []),
        *([("may owe now", amount(balances.effective_limit))] if account.HasField("temporary_raise") else []),
        ("held", amount(balances.held)),
        ("outstanding", amount(balances.outstanding)),
        ("available", amount(balances.available)),
    ]
    for field, value in account.facts.ListFields():
        rows.append((field.name, amount(value) if isinstance(value, money_pb2.Money) else str(value)))
    table("Account", ("", ""), rows)
