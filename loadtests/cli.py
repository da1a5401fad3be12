"""`holdline load`: run scenarios, find the capacity, show what they gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service import private_file
from service.cli import output

if TYPE_CHECKING:
    from loadtests.scenario import Scenario

BROKEN: Final = 1
WRONG: Final = 2
UNREACHABLE: Final = 4
_EXIT_CODES: Final = {"passed": 0, "objectives missed": BROKEN, "broken promise": BROKEN, "void": BROKEN}

app = typer.Typer(
    name="load",
    no_args_is_help=True,
    help="Load tests: what a server does at peak and under faults, proved against the callers' own journal.",
)
Target = Annotated[str, typer.Option(help="HOST:PORT of a server that runs; only send load to servers that are yours.")]
StartServer = Annotated[bool, typer.Option(help="Start a server on loopback with a store of its own, and end it.")]
Rate = Annotated[float, typer.Option(min=0.001, max=1_000, help="Multiply every rate of the scenario by this.")]
Duration = Annotated[float, typer.Option(min=0.01, max=100, help="Multiply every time of the scenario by this.")]


@app.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with Holdline."""
    from loadtests import scenario

    output.table("Scenarios", ("name", "what it is"), list(scenario.shipped().items()))


@app.command("show")
def show(name: str) -> None:
    """Print a scenario as it would run, defaults and all."""
    import yaml

    output.echo_text(yaml.safe_dump(_scenario(name).model_dump(mode="json"), allow_unicode=True, sort_keys=False))


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="A shipped scenario, or a .yaml file.")],
    target: Target = "",
    start_server: StartServer = False,
    out: Annotated[Path, typer.Option(help="Folder for the result: NAME.json and NAME.html.")] = Path("load-results"),
    compare: Annotated[Path | None, typer.Option(help="An earlier NAME.json to set beside this run.")] = None,
    rate: Rate = 1.0,
    duration: Duration = 1.0,
    runs: Annotated[int, typer.Option(min=1, max=20, help="So many runs; the report adds their spread.")] = 1,
) -> None:
    """Run a scenario, hold the server against its promises, and write a report.

    Exit codes: 0 passed; 1 a promise was broken, an objective missed, or the run is void; 2 wrong command line;
    4 the server is out of reach.

        holdline load run steady --start-server
    """
    from holdline.client import HoldlineError

    from loadtests import conductor, live, report
    from loadtests.result import together

    if bool(target) is start_server:
        raise output.wrong("choose either --target HOST:PORT or --start-server")
    target = output.address_said(target, "--target") if target else ""
    scenario = _scenario(name).scaled(rate, duration)
    earlier = read_result(compare) if compare is not None else None
    try:
        results = []
        for _ in range(runs):
            with live.view(scenario) as watch:
                results.append(conductor.run(scenario, target, watch))
            live.summary(results[-1])
    except LookupError as error:
        raise output.wrong(str(error)) from error
    except (HoldlineError, ConnectionError, RuntimeError) as error:
        output.echo(f"{target or 'own server'}: {error}", fg="red", err=True)
        raise typer.Exit(UNREACHABLE) from error
    result = together(results)
    file = report.write(out, result, earlier)
    if runs > 1:
        live.spread(result)
    output.echo(f"{file.with_suffix('.html')}, {file}")
    raise typer.Exit(_EXIT_CODES[result["outcome"]])


@app.command("capacity")
def capacity(
    name: Annotated[str, typer.Argument(help="The scenario whose mix and population are used.")] = "steady",
    target: Target = "",
    start_server: StartServer = False,
    p99_ms: Annotated[float, typer.Option(min=0.1, help="Latency that 99 % must keep within.")] = 50.0,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long each rate is tried.")] = 8.0,
    out: Annotated[Path, typer.Option(help="Folder for capacity.html, the saturation curve.")] = Path("load-results"),
) -> None:
    """Find the highest steady rate that keeps p99 and answers 99.9 %, and print a line for the capacity plan.

    holdline load capacity --start-server --p99-ms 50
    """
    from holdline.client import HoldlineError

    from loadtests import capacity as finder
    from loadtests import machine, report

    if bool(target) is start_server:
        raise output.wrong("choose either --target HOST:PORT or --start-server")
    target = output.address_said(target, "--target") if target else ""
    scenario = _scenario(name)

    def watch(trial: finder.Trial) -> None:
        verdict = "holds" if trial.holds else "fails"
        output.echo(
            f"{trial.per_second:8,.0f}/s  p99 {trial.p99_ms:8.1f} ms  {trial.ok_share:8.3%} answered  {verdict}"
        )

    try:
        found = finder.find(scenario, target, p99_ms, seconds, watch)
    except (HoldlineError, ConnectionError, RuntimeError) as error:
        output.echo(f"{target or 'own server'}: {error}", fg="red", err=True)
        raise typer.Exit(UNREACHABLE) from error
    here = machine.described()
    mix = ", ".join(f"{rpc} {weight:g}" for rpc, weight in scenario.mix.items())
    line = (
        f"capacity: {found.per_second:,.0f} calls/s within p99 <= {p99_ms:g} ms ({found.confirmed} of "
        f"{finder.CONFIRMATIONS} runs of {seconds:g} s held: at least {found.holds_at_least:.0%} will, with 90 % "
        f"confidence; {found.failed_per_second:,.0f}/s failed); mix {mix}; {here['cores']} cores, generator included, "
        f"{here['architecture']}, fdatasync p50 {here['sync_us']['p50']} us"
    )
    out.mkdir(parents=True, exist_ok=True)
    trials = [(one.per_second, one.p99_ms, one.ok_share, one.holds) for one in found.trials]
    page = report.capacity_page(line, trials, found.per_second, p99_ms)
    private_file.write(out / "capacity.html", page)
    output.echo(line)


@app.command("record")
def record(
    store: Annotated[str, typer.Option(envvar="HOLDLINE_STORE", help="The store: sqlite:///PATH.")],
    out: Annotated[Path, typer.Option(help="Where the day is written, as slot and calls.")] = Path("day.csv"),
    hours: Annotated[float, typer.Option(min=0.01, max=168, help="How far back from the newest decision.")] = 24.0,
    slots: Annotated[int, typer.Option(min=2, max=10_000, help="Equal slots to count in.")] = 288,
) -> None:
    """Record a day out of a store's decisions, for scenarios with `arrivals: replay` and `day: day.csv`."""
    from loadtests import schedule
    from service.cli import stores

    with stores.opened(store) as ledger:
        times = [sealed.decided.decision.decided_us for sealed in ledger.sealed_all()]
    if not times:
        raise output.wrong("the store has no decisions")
    out.write_text(schedule.written_day(times, int(hours * 3_600_000_000), slots), encoding="utf-8")
    output.echo(f"{out}: {len(times)} decisions looked at")


@app.command("cross-check")
def cross_check(
    seconds: Annotated[float, typer.Option(min=1, max=60, help="How long each generator runs in each round.")] = 4.0,
    rounds: Annotated[int, typer.Option(min=1, max=20)] = 5,
) -> None:
    """Set our generator beside h2load on the same RPC: throughput and median must agree within 10 %."""
    from loadtests import crosscheck

    found = crosscheck.compare(seconds, rounds)
    for line in found.lines:
        output.echo(line)
    raise typer.Exit(0 if found.agrees else BROKEN)


def _scenario(name: str) -> Scenario:
    from loadtests import scenario

    try:
        return scenario.load(name)
    except scenario.BadScenario as error:
        raise output.wrong(str(error)) from error


def read_result(file: Path) -> dict[str, Any]:
    """Read a result that `run` wrote; raises typer.BadParameter where it is none."""
    try:
        found: dict[str, Any] = json.loads(output.text_of(file))
    except ValueError as error:
        raise output.wrong(f"{file} is no result of a run: {error}") from error
    return found


@app.command("report")
def report(
    result: Annotated[Path, typer.Argument(help="A NAME.json that `run` wrote.", exists=True, dir_okay=False)],
    compare: Annotated[
        Path | None, typer.Option(help="An earlier NAME.json to set beside it.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Write a run's report again, with another run beside it."""
    from loadtests import report as reports

    earlier = read_result(compare) if compare is not None else None
    page = result.with_suffix(".html")
    private_file.write(page, reports.page(read_result(result), earlier))
    output.echo(str(page))
