"""`holdline load`: run scenarios, find the capacity, show what they gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

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
    from service.cli import output

    output.table("Scenarios", ("name", "what it is"), list(scenario.shipped().items()))


@app.command("show")
def show(name: str) -> None:
    """Print a scenario as it would run, defaults and all."""
    import yaml

    typer.echo(yaml.safe_dump(_scenario(name).model_dump(mode="json"), allow_unicode=True, sort_keys=False))


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="A shipped scenario, or a .yaml file.")],
    target: Target = "",
    start_server: StartServer = False,
    out: Annotated[Path, typer.Option(help="Folder for the result: NAME.json and NAME.html.")] = Path("load-results"),
    compare: Annotated[Path | None, typer.Option(help="An earlier NAME.json to set beside this run.")] = None,
    rate: Rate = 1.0,
    duration: Duration = 1.0,
) -> None:
    """Run a scenario, hold the server against its promises, and write a report.

    Exit codes: 0 passed; 1 a promise was broken, an objective missed, or the run is void; 2 wrong command line;
    4 the server is out of reach.

        holdline load run steady --start-server
    """
    from loadtests import conductor, live, report
    from service.client import HoldlineError

    if bool(target) is start_server:
        raise typer.BadParameter("choose either --target HOST:PORT or --start-server")
    scenario = _scenario(name).scaled(rate, duration)
    earlier = json.loads(compare.read_text(encoding="utf-8")) if compare is not None else None
    try:
        with live.view(scenario) as watch:
            result = conductor.run(scenario, target, watch)
    except LookupError as error:
        raise typer.BadParameter(str(error)) from error
    except (HoldlineError, ConnectionError, RuntimeError) as error:
        typer.secho(f"{target or 'own server'}: {error}", fg="red", err=True)
        raise typer.Exit(UNREACHABLE) from error
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{scenario.name}.json"
    file.write_text(json.dumps(result), encoding="utf-8")
    file.with_suffix(".html").write_text(report.page(result, earlier), encoding="utf-8")
    live.summary(result)
    typer.echo(f"{file.with_suffix('.html')}, {file}")
    raise typer.Exit(_EXIT_CODES[result["outcome"]])


def _scenario(name: str) -> Scenario:
    from loadtests import scenario

    try:
        return scenario.load(name)
    except scenario.BadScenario as error:
        raise typer.BadParameter(str(error)) from error


def read_result(file: Path) -> dict[str, Any]:
    """Read a result that `run` wrote."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@app.command("report")
def report(
    result: Annotated[Path, typer.Argument(help="A NAME.json that `run` wrote.", exists=True)],
    compare: Annotated[Path | None, typer.Option(help="An earlier NAME.json to set beside it.", exists=True)] = None,
) -> None:
    """Write a run's report again, with another run beside it."""
    from loadtests import report as reports

    earlier = read_result(compare) if compare is not None else None
    page = result.with_suffix(".html")
    page.write_text(reports.page(read_result(result), earlier), encoding="utf-8")
    typer.echo(str(page))
