"""What a run shows on the terminal: its last seconds while it goes on, its figures when it is over."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from loadtests.result import SPREAD
from loadtests.scenario import Scenario
from service.cli import output

SECONDS_SHOWN: Final = 12
_COLUMNS: Final = ("offered", "acknowledged", "declined", "refused", "unknown", "sent")
_COLOURS: Final = {"passed": "green", "objectives missed": "yellow", "broken promise": "red", "void": "red"}


@contextmanager
def view(scenario: Scenario) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show the last seconds of a load; gives what takes each second in."""
    console = Console(stderr=True)
    last: deque[dict[str, Any]] = deque(maxlen=SECONDS_SHOWN)
    with Live(console=console, refresh_per_second=2, transient=True) as live:

        def watch(second: dict[str, Any]) -> None:
            last.append(second)
            live.update(_table(scenario, last))

        live.update(f"{scenario.name}: {scenario.about}")
        yield watch


def _table(scenario: Scenario, last: deque[dict[str, Any]]) -> Table:
    table = Table(title=f"{scenario.name}, {scenario.seconds:.0f} s")
    for name in ("second", "phase", *_COLUMNS, "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    for second in last:
        table.add_row(
            str(second["second"]), _phase_at(scenario, second["second"]),
            *(str(second.get(name, 0)) for name in _COLUMNS),
            *(f"{second[name]:.1f}" if name in second else "" for name in ("p50", "p99")),
        )  # fmt: skip
    return table


def _phase_at(scenario: Scenario, at: float) -> str:
    began = 0.0
    for phase in scenario.phases:
        began += phase.seconds
        if at < began:
            return phase.name
    return "end"


def summary(result: dict[str, Any]) -> None:
    """Print what a run gave."""
    rows = [
        (
            one["name"], f"{one['offered_per_second']:,.0f}", f"{one['goodput_per_second']:,.0f}",
            *(f"{one['ms'][name]:.1f}" for name in ("p50", "p99", "p99.9")),
            *(str(one[name]) for name in ("declined", "refused", "unknown")),
        )
        for one in result["phases"]
    ]  # fmt: skip
    columns = ("phase", "offered/s", "good/s", "p50 ms", "p99 ms", "p99.9 ms", "declined", "refused", "unknown")
    output.table(result["scenario"]["name"], columns, rows)
    if result["objectives"]:
        rows = [
            (one["title"], one["wanted"], f"{one['found']:.3g}", "met" if one["met"] else "MISSED")
            for one in result["objectives"]
        ]
        output.table("Objectives", ("what", "wanted", "found", ""), rows)
    for one in result["disturbances"]:
        Console().print(f"{one['from']:.1f} to {one['to']:.1f} s: {one['told']}", markup=False, highlight=False)
    verdict, generator = result["verdict"], result["generator"]
    Console().print(
        f"generator: {generator['late_share']:.2%} begun late, p99 {generator['lag_ms']['p99']:.1f} ms behind; "
        f"audit: {verdict['acknowledged']} acknowledged, {verdict['refused']} refused, {verdict['unknown']} unknown, "
        f"{verdict['asked_again']} asked again, {len(verdict['faults'])} faults",
        markup=False, highlight=False,
    )  # fmt: skip
    for fault in verdict["faults"]:
        Console().print(f"  {fault}", style="red", markup=False)
    Console().print(result["outcome"], style=_COLOURS[result["outcome"]])


def spread(result: dict[str, Any]) -> None:
    """Print how far runs of one scenario lie apart: least, middle, greatest."""
    rows = [
        (one["phase"], *(" ".join(f"{value:,.4g}" for value in one[name]) for name in SPREAD))
        for one in result["spread"]
    ]
    outcomes = ", ".join(result["outcomes"])
    output.table(f"{len(result['outcomes'])} runs: {outcomes}", ("phase", "good/s", "p50 ms", "p99 ms"), rows)
