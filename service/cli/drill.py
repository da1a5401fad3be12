"""`holdline drill`: rehearse an algorithm incident on a private copy, and see when it was noticed and stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import Json

if TYPE_CHECKING:
    from service.drill.rehearsal import Rehearsed
    from service.drill.skipped_shard import SkipRehearsed

ALL = "all"


def drill(
    scenario: Annotated[str, typer.Argument(help="The scenario, or all; without one they are listed.")] = "",
    store: Annotated[str, typer.Option(help="Rehearse on a copy of this store, sqlite:///PATH.")] = "",
    reaction: Annotated[
        int, typer.Option(min=0, max=10_000, help="Decisions that pass from the first alert until on-call acts.")
    ] = 300,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 2026,
    as_json: Json = False,
) -> None:
    """Rehearse an incident: inject it into live synthetic traffic and let guards and a scripted on-call answer.

    A store is copied and only read; without one, customers are drawn. Exit code 1 where the incident went unnoticed, an
    alarm was false, or harm did not stop within the scenario's bound.

        holdline drill policy-tightened
    """
    from service.drill import skipped_shard
    from service.drill.scenarios import SCENARIOS

    wrongs = {**{one.name: one.wrong for one in SCENARIOS.values()}, skipped_shard.NAME: skipped_shard.WRONG}
    if not scenario:
        output.table("Scenarios", ("scenario", "what goes wrong"), list(wrongs.items()))
        return
    if scenario != ALL and scenario not in wrongs:
        raise output.wrong(f"{scenario} is no scenario; choose from {', '.join(wrongs)} or {ALL}")
    names = list(wrongs) if scenario == ALL else [scenario]
    found = [_rehearsed(name, store, reaction, seed, is_quiet=as_json) for name in names if name in SCENARIOS]
    skips = [_skipped(store, seed, is_quiet=as_json) for name in names if name not in SCENARIOS]
    if as_json:
        output.print_json([*(_plain(one) for one in found), *(_plain_skip(one) for one in skips)])
    else:
        for one in found:
            _show(one)
        for skip in skips:
            _show_skip(skip)
    if not (all(one.is_passed for one in found) and all(one.is_passed for one in skips)):
        raise typer.Exit(output.PROMISE_BROKEN)


def _rehearsed(name: str, store: str, reaction: int, seed: int, *, is_quiet: bool) -> Rehearsed:
    from service.drill.scenarios import SCENARIOS
    from service.drill.stage import rehearsing

    with _progress(name, is_quiet=is_quiet) as advance, rehearsing(store, seed) as rehearsal:
        return rehearsal.run(SCENARIOS[name], reaction, advance)


def _skipped(store: str, seed: int, *, is_quiet: bool) -> SkipRehearsed:
    from service.drill import skipped_shard

    with _progress(skipped_shard.NAME, is_quiet=is_quiet) as advance:
        return skipped_shard.rehearse(store, seed, advance)


@contextmanager
def _progress(name: str, *, is_quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how far a drill is, with its log held back to errors."""
    from rich.console import Console
    from rich.progress import Progress

    from service import telemetry

    listener = telemetry.start_logs("error")
    try:
        with Progress(console=Console(stderr=True), disable=is_quiet) as progress:
            task = progress.add_task(name, total=None)
            yield lambda count: progress.advance(task, count)
    finally:
        listener.stop()


def _show_skip(found: SkipRehearsed) -> None:
    from service.drill import skipped_shard

    output.table(skipped_shard.NAME, ("what", "detail"), [(event.what, event.detail) for event in found.events])
    counts = f"{len(found.owed):,} customers were owed a raise, {len(found.listed):,} were listed"
    if found.is_passed:
        output.echo(f"{counts}, exactly these, and every one is settled once.", fg="green")
    else:
        output.echo(f"{counts}; {len(found.settled_wrongly):,} are not settled once.", fg="red")


def _plain_skip(found: SkipRehearsed) -> dict[str, object]:
    from service.drill import skipped_shard

    return {
        "scenario": skipped_shard.NAME,
        "passed": found.is_passed,
        "events": [event._asdict() for event in found.events],
        "owed": len(found.owed),
        "listed": len(found.listed),
        "settled_wrongly": len(found.settled_wrongly),
        "told": found.is_told,
    }


def _show(found: Rehearsed) -> None:
    rows = [(f"{event.decision:+,}", event.what, event.detail) for event in found.events]
    output.table(f"{found.scenario.name}: decisions since the incident", ("decision", "what", "detail"), rows)
    before, after = found.customers(is_before=True), found.customers(is_before=False)
    output.table(
        "Customers",
        ("", "hurt", "favoured"),
        [("before the first playbook", *map(str, before)), ("after it", *map(str, after))],
    )
    output.echo(f"Decisions held by a playbook, to be made good: {found.held}. False alarms: {found.false_alarms}.")
    bound = f"{found.scenario.decisions_max:,} decisions"
    if found.is_passed:
        output.echo(f"Harm stopped after {found.stopped:,} decisions; at most {bound} may pass.", fg="green")
    elif not found.harms:
        output.echo("The incident harmed nobody under this store's policy, so it rehearses nothing here.", fg="yellow")
    else:
        output.echo(f"Harm did not stop within {bound}, or was not noticed as it should.", fg="red")


def _plain(found: Rehearsed) -> dict[str, object]:
    return {
        "scenario": found.scenario.name,
        "passed": found.is_passed,
        "events": [event._asdict() for event in found.events],
        "detected": found.detected,
        "activated": found.activated,
        "stopped": found.stopped,
        "decisions_max": found.scenario.decisions_max,
        "hurt_and_favoured_before": found.customers(is_before=True),
        "hurt_and_favoured_after": found.customers(is_before=False),
        "held": found.held,
        "false_alarms": found.false_alarms,
    }
