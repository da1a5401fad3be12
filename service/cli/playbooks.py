"""`holdline playbook …`: list, describe, preview, activate, approve, extend, end; and for authors, new and release."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from holdline.client import Client
    from holdline.v1 import playbook_service_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="Fallback modes for on-call: preview, activate, approve, extend, end.")

Name = Annotated[str, typer.Argument(help="The playbook, for example freeze_reductions; or a version, cap_growth/v1.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A parameter, NAME=VALUE; may be repeated.")]
Product = Annotated[str, typer.Option(help="Only this product; empty: all.")]
Ranges = Annotated[
    list[str] | None,
    typer.Option("--range", help="Only accounts whose fact lies in a range, FACT=LOWEST..HIGHEST; may be repeated."),
]
Percent = Annotated[float, typer.Option(min=0.01, max=100, help="Only this share of the accounts, always the same.")]
Minutes = Annotated[int, typer.Option(min=1, help="How long it lasts; it lapses by itself.")]
Reason = Annotated[str, typer.Option(prompt="Why (for the record)", help="Why, for the record.")]
Activation = Annotated[str, typer.Argument(help="The activation, for example A17.")]
Decisions = Annotated[int, typer.Option(min=1, help="How many of the newest decisions to replay.")]
DECISIONS: Final = 10_000
MINUTES: Final = 60


@app.command("list")
def list_playbooks(server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """List every playbook with what it does; drafts and retired versions say so."""
    with output.connected(server, caller) as client:
        found = client.playbooks()
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            f"{one.name}/v{one.version}", one.summary, str(one.approvals_needed or "–"), _span(one.ttl_seconds_max),
            _state(one),
        )
        for one in found
    ]  # fmt: skip
    output.table("Playbooks", ("playbook", "what it does", "approvals", "longest", ""), rows)


def _state(one: pb.Playbook) -> str:
    from holdline.v1 import playbook_service_pb2 as pb

    if one.state == pb.PLAYBOOK_STATE_RELEASED:
        return ""
    name = pb.PlaybookState.Name(one.state).removeprefix("PLAYBOOK_STATE_").lower()
    return f"{name}: {one.retired_reason}" if one.retired_reason else name


@app.command()
def describe(name: Name, server: Server = SERVER, caller: Caller = CALLER, as_json: Json = False) -> None:
    """Show a playbook's page: symptoms, when to use it, what customers see, how to leave."""
    with output.connected(server, caller) as client:
        found = client.playbook(*_named(name))
    if as_json:
        output.print_json(found)
        return
    one = found.playbook
    output.echo(f"{one.name}/v{one.version}: {one.summary}", bold=True)
    for section in found.sections:
        output.echo("")
        output.echo(section.heading, bold=True)
        output.echo_text(section.text)
    output.echo("")
    output.echo("Parameters", bold=True)
    for parameter in one.parameters:
        default = value_text(parameter.default_value) if parameter.HasField("default_value") else "needed"
        span = f", {parameter.lowest} to {parameter.highest}" if parameter.HasField("highest") else ""
        output.echo(f"{parameter.name}: {parameter.about} ({parameter.unit}{span}; {default})")
    output.echo("")
    output.echo(f"Approvals {one.approvals_needed}, at most {_span(one.ttl_seconds_max)}, safer because {one.safer}.")


@app.command()
def preview(
    name: Name,
    parameter: Set = None,
    product: Product = "",
    ranges: Ranges = None,
    percent: Percent = 100.0,
    decisions: Decisions = DECISIONS,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Show what a playbook would have changed of the newest decisions; writes nothing."""
    with output.connected(server, caller) as client:
        found = previewed(client, name, parameter, scope_of(product, ranges, percent), decisions)
    if as_json:
        output.print_json(found)
    else:
        show_preview(found)


@app.command()
def activate(
    name: Name,
    reason: Reason,
    parameter: Set = None,
    product: Product = "",
    ranges: Ranges = None,
    percent: Percent = 100.0,
    minutes: Minutes = MINUTES,
    incident: Annotated[str, typer.Option(help="The incident it belongs to.")] = "",
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="In force without the approvals it needs; everybody is told.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="In force in spite of a mix of builds.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask; for scripts.")] = False,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Put a playbook in force, after showing its preview and asking."""
    scope = scope_of(product, ranges, percent)
    with output.connected(server, caller) as client:
        if not yes:
            show_preview(previewed(client, name, parameter, scope, DECISIONS))
            output.confirm(f"Put {name} in force for {minutes} minutes?")
        playbook, version = _named(name)
        response = client.activate(
            playbook, version=version, parameters=parameters_of(parameter), scope=scope, ttl_seconds=minutes * 60,
            reason=reason, incident=incident, break_glass=break_glass, force=force,
        )  # fmt: skip
    show_changed(response, as_json=as_json)


@app.command()
def approve(
    activation: Activation,
    note: Annotated[str, typer.Option(help="A note for the record.")] = "",
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Approve somebody else's activation."""
    with output.connected(server, caller) as client:
        response = client.approve(activation, note=note)
    show_changed(response, as_json=as_json)


@app.command()
def extend(
    activation: Activation,
    reason: Reason,
    minutes: Minutes = MINUTES,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Let an activation last so long from now on."""
    with output.connected(server, caller) as client:
        response = client.extend(activation, ttl_seconds=minutes * 60, reason=reason)
    show_changed(response, as_json=as_json)


@app.command()
def end(
    reason: Reason,
    activation: Annotated[str, typer.Argument(help="The activation, for example A17.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="End all that is in force or pending.")] = False,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """End an activation, or all of them: back to normal from the next decision on."""
    if bool(activation) == everything:
        raise output.wrong("name one activation, or say --all")
    with output.connected(server, caller) as client:
        mode = client.mode().mode if everything else None
        names = [one.activation_id for one in (*mode.activations, *mode.pending)] if mode else [activation]
        responses = [client.end_activation(one, reason=reason) for one in names]
    for response in responses:
        show_changed(response, as_json=as_json)
    if not responses:
        output.echo("nothing was in force")


@app.command("activations")
def list_activations(
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only those: pending_approval, active, lapsed or ended; may be repeated."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """List activations, newest first."""
    with output.connected(server, caller) as client:
        try:
            found = list(islice(client.activations(*(state or []), page_size=min(count, 1_000)), count))
        except ValueError as error:
            raise output.wrong("--state is pending_approval, active, lapsed or ended") from error
    if as_json:
        output.print_json(found)
    else:
        show_activations("Activations", found)


@app.command()
def new(name: Annotated[str, typer.Argument(help="Its name: [a-z][a-z0-9_]*, a verb first.")]) -> None:
    """Make the folder of a new playbook in this checkout: module, page and test."""
    from playbooks import scaffold

    try:
        folder = scaffold.new(name)
    except ValueError as error:
        raise output.wrong(str(error)) from error
    output.echo(f"{folder}: mend v1.py, run its test, then `holdline playbook release {name}/v1`")


@app.command()
def release(title: Annotated[str, typer.Argument(help="The version, for example cap_growth/v2.")]) -> None:
    """Write a version's hash into released.toml; from then on it never changes."""
    from playbooks import registry, scaffold

    try:
        scaffold.release(title)
    except (ValueError, registry.PlaybookBroken) as error:
        raise output.wrong(str(error)) from error
    output.echo(f"{title} is released")


is_whole = re.compile(r"-?[0-9]{1,18}").fullmatch
"""Claim that a text is a whole number that a message can hold."""


def _named(name: str) -> tuple[str, int | None]:
    """Read NAME or NAME/vN; no version is the newest."""
    playbook, _, version = name.partition("/v")
    if version and not re.fullmatch(r"[0-9]{1,9}", version):
        raise output.wrong(f"{name} is no NAME or NAME/vN")
    return playbook, int(version) if version else None


def parameters_of(pairs: list[str] | None) -> dict[str, int | str]:
    """Read NAME=VALUE pairs; whole numbers become numbers."""
    found: dict[str, int | str] = {}
    for pair in pairs or []:
        name, separator, value = pair.partition("=")
        if not separator:
            raise output.wrong(f"{pair} is not NAME=VALUE")
        found[name] = int(value) if is_whole(value) else value
    return found


def scope_of(product: str, given: list[str] | None, percent: float) -> pb.Scope:
    """Make a scope."""
    from holdline.v1 import playbook_service_pb2 as pb

    ranges = []
    for one in given or []:
        fact, _, span = one.partition("=")
        lowest, separator, highest = span.partition("..")
        if not separator or not is_whole(lowest) or not is_whole(highest):
            raise output.wrong(f"{one} is not FACT=LOWEST..HIGHEST")
        ranges.append(pb.FactRange(fact=fact, lowest=int(lowest), highest=int(highest)))
    return pb.Scope(product=product, ranges=ranges, share_bp=round(percent * 100))


def previewed(
    client: Client, name: str, parameter: list[str] | None, scope: pb.Scope, decisions: int
) -> pb.PreviewPlaybookResponse:
    """Ask for a preview."""
    playbook, version = _named(name)
    return client.preview(
        playbook, version=version, parameters=parameters_of(parameter), scope=scope, decisions=decisions
    )


def show_preview(found: pb.PreviewPlaybookResponse) -> None:
    """Print a preview for people."""
    share = f" ({found.changed * 100 / found.decisions:.1f} %)" if found.decisions else ""
    output.echo(
        f"Of the last {found.decisions} decisions the scope covers {found.covered}; {found.changed}{share} would have "
        f"come out otherwise. Took {found.took_micros / 1e6:.2f} s."
    )
    if not found.covered:
        output.echo("The scope covers none of them: is it what you mean?", fg="yellow")
    if found.note:
        output.echo(found.note)
    rows = [
        (output.kind(one), output.outcome_name(one.was), would_be(one), str(one.count)) for one in found.transitions
    ]
    if rows:
        output.table("What would change", ("kind", "was", "would be", "count"), rows)
    money = [
        (
            one.raised_was.currency_code, output.amount(one.raised_was), output.amount(one.raised_would_be),
            output.amount(one.cut_was), output.amount(one.cut_would_be),
        )
        for one in found.money
    ]  # fmt: skip
    output.table("Money", ("currency", "granted", "would be", "cut", "would be"), money)
    samples = [
        (
            one.decision_id, output.kind(one), f"{output.amount(one.limit_was)} → {output.amount(one.limit_would_be)}",
            ", ".join(one.reasons_was), one.refusal or ", ".join(one.reasons_would_be),
        )
        for one in found.samples
    ]  # fmt: skip
    if samples:
        output.table("Samples", ("decision", "kind", "limit", "because", "would be because"), samples)


def would_be(one: pb.PreviewTransition) -> str:
    """Write the outcome that would have been."""
    return output.outcome_name(one.would_be) if one.HasField("would_be") else "refused"


def show_changed(
    response: pb.ActivatePlaybookResponse
    | pb.ApproveActivationResponse
    | pb.ExtendActivationResponse
    | pb.EndActivationResponse,
    *,
    as_json: bool,
) -> None:
    """Print what became of an activation."""
    if as_json:
        output.print_json(response)
        return
    show_activations("Activation", [response.activation])
    output.echo(f"mode from the next decision on: {response.mode_id}")


def show_activations(title: str, found: list[pb.Activation]) -> None:
    """Print activations for people."""
    from holdline.v1 import playbook_service_pb2 as pb

    rows = [
        (
            one.activation_id,
            f"{one.playbook}/v{one.version}",
            pb.ActivationState.Name(one.state).removeprefix("ACTIVATION_STATE_").lower().replace("_", " "),
            ", ".join(f"{parameter.name}={value_text(parameter.value)}" for parameter in one.parameters) or "–",
            scope_text(one.scope),
            one.active_until.ToJsonString(),
            f"{one.requested_by.caller}: {one.reason}" + (" BREAK GLASS" if one.break_glass else ""),
            f"{len(one.approvals)} of {one.approvals_needed}" if one.approvals_needed else "–",
        )
        for one in found
    ]
    columns = ("id", "playbook", "state", "parameters", "scope", "until (UTC)", "by, why", "approved")
    output.table(title, columns, rows)


def value_text(value: pb.ParameterValue) -> str:
    """Write a parameter's value."""
    return str(value.whole) if value.WhichOneof("value") == "whole" else value.text


def scope_text(scope: pb.Scope) -> str:
    """Write a scope for people."""
    parts = [scope.product] if scope.product else []
    parts += [f"{one.fact} {one.lowest} to {one.highest}" for one in scope.ranges]
    if scope.share_bp not in (0, 10_000):
        parts.append(f"{scope.share_bp / 100:g} %")
    return ", ".join(parts) or "everybody"


def _span(seconds: int) -> str:
    from playbooks.pages import hours

    return hours(seconds)
