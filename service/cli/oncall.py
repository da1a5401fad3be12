"""`holdline mode` and `holdline oncall`: what is in force, what the guards see, and a guided way to a playbook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from service.cli import clock, output, playbooks
from service.cli.output import CALLER, SERVER, Caller, Json, Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdline.v1 import playbook_service_pb2 as pb

SIGNALS_SHOWN: Final = 8
ASKED_MAX: Final = 5
QUESTIONS: Final = {
    "limits fall that should not": ("cut_rate",),
    "raises or first limits are missing or refused": (
        "missing_raise_rate",
        "raise_refusal_rate",
        "assign_refusal_rate",
    ),
    "limits rise too much or too often": ("raise_rate", "assign_rate", "growth_brake"),
    "scores or outcomes shifted since a policy change": ("score_psi",),
    "data arrives wrong, stale or empty": ("fact_psi", "age_psi"),
    "calls are slow, shed or fail": ("latency", "error_rate"),
    "something is wrong and nobody knows what": ("score_psi", "dead_man", "growth_brake"),
}
"""What on-call sees, and the signals that speak of it."""


def mode(
    watch: Annotated[bool, typer.Option("--watch", help="Go on: print every change, until Ctrl-C.")] = False,
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Show what is in force, what waits for approval, which engines serve and what the guards see."""
    with output.connected(server, caller) as client:
        if watch:
            for seen in client.watch_mode():
                _show_change(seen, as_json=as_json)
            return
        found, signals = client.mode(), client.signals()
    if as_json:
        output.print_json([found, signals])
        return
    output.echo(f"mode {found.mode.mode_id} at {found.mode.as_of.ToJsonString()}", bold=True)
    show_clock(found.clock)
    if found.mode.activations:
        playbooks.show_activations("In force", list(found.mode.activations))
    if found.mode.pending:
        playbooks.show_activations("Waiting for approval", list(found.mode.pending))
    if found.builds_differ:
        output.echo("Engines of different builds serve; activations are refused unless forced.", fg="red")
    rows = [(one.engine_id, one.build, one.policy_compiler, one.playbooks) for one in found.engines]
    output.table("Engines", ("engine", "build", "policy compiler", "playbooks"), rows)
    show_signals(signals.signals)


def show_clock(found: pb.StoreClock) -> None:
    """Print what is to be known of the clock, where anything is."""
    if found.ahead_micros or found.owed_micros:
        output.echo(f"Clock: {clock.standing(found)}.", fg="red" if found.ahead_micros else "yellow")


def _show_change(seen: pb.WatchModeResponse, *, as_json: bool) -> None:
    if as_json:
        output.print_json(seen)
        return
    from holdline.v1 import playbook_service_pb2 as pb

    output.echo(f"{seen.mode.as_of.ToJsonString()} mode {seen.mode.mode_id}", bold=True)
    for change in seen.changes:
        action = pb.ActivationAction.Name(change.action).removeprefix("ACTIVATION_ACTION_").lower()
        output.echo(f"  {change.actor.caller} {action} {change.activation_id}: {change.reason}")
    for one in seen.mode.activations:
        output.echo(
            f"  in force: {one.activation_id} {one.playbook}/v{one.version} until {one.active_until.ToJsonString()}"
        )


def show_signals(signals: Iterable[pb.Signal]) -> None:
    """Print what the guards see, the loudest first."""
    rows = [
        (
            signal_text(one),
            one.product or "service",
            _measured(one, one.value),
            _measured(one, one.baseline),
            f"{one.percent} %" + (" ALARM" if one.alarming else ""),
            one.recommends or "–",
        )
        for one in list(signals)[:SIGNALS_SHOWN]
    ]
    if rows:
        output.table("Signals", ("signal", "of", "now", "normal", "to alarm", "recommends"), rows)
    else:
        output.echo("The guards have no baseline yet; they learn it from the first decisions.")


def signal_text(one: pb.Signal) -> str:
    """Write a signal's name, with the fact that it watches."""
    return f"{one.name} of {one.fact}" if one.fact else one.name


def _measured(one: pb.Signal, value: int) -> str:
    from holdline.v1 import playbook_service_pb2 as pb

    return f"{value / 1_000:g} ms" if one.unit == pb.SIGNAL_UNIT_MICROSECONDS else f"{value / 10_000:.2f} %"


def oncall(server: Server = SERVER, caller: Caller = CALLER) -> None:
    """Be guided: what is wrong, which playbooks fit it best, what each would change, and put one in force."""
    with output.connected(server, caller) as client:
        found, signals, known = client.mode(), client.signals(), client.playbooks()
    output.echo(f"Mode {found.mode.mode_id}.", bold=True)
    show_clock(found.clock)
    if found.mode.activations:
        playbooks.show_activations("In force", list(found.mode.activations))
    show_signals(signals.signals)
    symptoms = list(QUESTIONS)
    for place, symptom in enumerate(symptoms, 1):
        output.echo(f"  {place}. {symptom}")
    symptom = symptoms[_chosen("What is wrong?", len(symptoms)) - 1]
    ranked = rank(known, list(signals.signals), QUESTIONS[symptom])
    for place, (one, why) in enumerate(ranked, 1):
        output.echo(f"  {place}. {one.name}: {one.summary} ({why})")
    chosen = ranked[_chosen("Which one?", len(ranked), default=1) - 1][0]
    playbooks.describe(chosen.name, server, caller)
    pairs = [
        f"{one.name}={typer.prompt(f'{one.name} ({one.about})')}"
        for one in chosen.parameters
        if not one.HasField("default_value")
    ]
    product = typer.prompt("Only which product (empty: all)", default="", show_default=False)
    minutes = typer.prompt("For how many minutes", default=30, type=int)
    reason = typer.prompt("Why (for the record)")
    playbooks.activate(
        chosen.name, reason, parameter=pairs, product=product, minutes=minutes, server=server, caller=caller
    )
    output.echo('Watch it with `holdline mode --watch`; go back with `holdline playbook end --all --reason "…"`.')


def _chosen(question: str, count: int, default: int | None = None) -> int:
    """Ask for a number from 1 to a count until one is given; a few times at most."""
    for _ in range(ASKED_MAX):
        number = int(typer.prompt(f"{question} (1 to {count})", default=default, type=int))
        if 1 <= number <= count:
            return number
    raise typer.Abort


def rank(known: list[pb.Playbook], signals: list[pb.Signal], wanted: tuple[str, ...]) -> list[tuple[pb.Playbook, str]]:
    """Rank playbooks: by what the guards recommend now, then by how directly they speak to the symptom, then name."""
    from holdline.v1 import playbook_service_pb2 as pb

    newest = {one.name: one for one in known if one.state == pb.PLAYBOOK_STATE_RELEASED}
    alarming = {one.recommends: signal_text(one) for one in signals if one.alarming}

    def fit(one: pb.Playbook) -> tuple[bool, int, str]:
        places = [list(one.signals).index(signal) for signal in wanted if signal in one.signals]
        return one.name not in alarming, min(places, default=len(QUESTIONS)), one.name

    fitting = [one for one in newest.values() if set(wanted) & set(one.signals) or one.name in alarming]
    return [
        (one, f"recommended: {alarming[one.name]} alarms" if one.name in alarming else "fits the symptom")
        for one in sorted(fitting, key=fit)
    ]
