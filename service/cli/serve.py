"""`holdline serve`: a server in the foreground.

Every setting is a flag here, made from settings.py; SETTINGS.md lists them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from service.cli import output

log = structlog.get_logger("holdline")


def serve(
    store: Annotated[str | None, typer.Option(help="Where decisions are kept: sqlite:///PATH.")] = None,
    listen: Annotated[str | None, typer.Option(help="Address and port; port 0 picks a free one.")] = None,
    gateways: Annotated[int | None, typer.Option(help="Gateway processes that share the port.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Prometheus port on loopback; 0: off.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting as name=value; SETTINGS.md lists them.")
    ] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written when serving: address and process ids.")] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain and exit with 0; 5 where the store or the address can't be served.

    Each setting is also a variable, HOLDLINE_STORE for --store; a flag wins over a variable.

        holdline serve --store sqlite:////var/lib/holdline/limits.db --gateways 2
    """
    from pydantic import ValidationError

    from service import bootstrap, telemetry, ulimits
    from service.exit_codes import NOT_HERE
    from service.forked import fork_children
    from service.settings import Settings
    from service.storage import opening
    from service.supervisor import Supervisor, hold_signals, refuse_ports

    flags = {"store": store, "listen": listen, "gateways": gateways, "metrics_port": metrics_port}
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    for pair in setting or []:
        name, separator, value = pair.partition("=")
        if not separator:
            raise output.wrong(f"{pair} is not name=value")
        given[name] = value
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise output.wrong("; ".join(map(_problem, error.errors()))) from error
    if settings.roles_file or settings.dead_man_playbook or settings.guards_activate:
        try:
            bootstrap.refuse_settings(settings)
        except ValueError as error:
            raise output.wrong(str(error)) from error
    if ready_file is not None and not ready_file.absolute().parent.is_dir():
        raise output.wrong(f"{ready_file}: its folder does not exist")
    try:
        refuse_ports(settings)
    except OSError as error:
        output.fail(str(error), NOT_HERE)
    hold_signals()
    forked = fork_children(settings)
    listener = telemetry.start_logs(settings.log_level)
    for shortage in ulimits.shortages(settings, opening.path_of(settings.store)):
        log.warning("low limit", what=shortage)
    try:
        code = Supervisor(settings, ready_file, forked).run()
    finally:
        listener.stop()
    raise typer.Exit(code)


def _problem(entry: Mapping[str, Any]) -> str:
    """Tell what is wrong with a setting; never what was said, which may be a secret."""
    from service.settings import FORMS

    name = ".".join(map(str, entry["loc"]))
    match entry["type"]:
        case "value_error":
            # The settings don't agree with each other; the text names which.
            return str(entry["ctx"]["error"])
        case "string_pattern_mismatch":
            return f"{name}: write {FORMS[name]}"
        case "extra_forbidden":
            return f"{name}: no setting is called so; service/SETTINGS.md lists them"
        case _:
            return f"{name}: {entry['msg']}"
