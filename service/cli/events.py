"""`holdline events FILE`: send behaviour events from a file of JSON lines."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from service.cli import output
from service.cli.output import CALLER, SERVER, Caller, Json, Server

BATCH = 1_000
SHOWN_MAX = 10


def events(
    file: Annotated[
        typer.FileText, typer.Argument(help="JSON lines, each an Event of the contract; - for standard input.")
    ],
    server: Server = SERVER,
    caller: Caller = CALLER,
    as_json: Json = False,
) -> None:
    """Send behaviour events; sending a file again takes nothing twice."""
    from google.protobuf import json_format
    from holdline.v1 import event_pb2

    def read() -> Iterator[event_pb2.Event]:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield json_format.Parse(line, event_pb2.Event())
                except json_format.ParseError as error:
                    raise output.wrong(f"line {number}: {error}") from error

    counts: Counter[str] = Counter()
    refused: list[tuple[str, str]] = []
    waiting = read()
    with output.connected(server, caller) as client:
        while batch := list(islice(waiting, BATCH)):
            for result in client.record_events(batch):
                what = "refused" if result.HasField("error") else "taken_before" if result.replayed else "taken"
                counts[what] += 1
                if what == "refused" and len(refused) < SHOWN_MAX:
                    refused.append((result.event_id, result.error.message))
    if as_json:
        output.print_json({name: counts[name] for name in ("taken", "taken_before", "refused")})
    else:
        output.echo(f"{counts['taken']} taken, {counts['taken_before']} had been before, {counts['refused']} refused")
        for event_id, why in refused:
            output.echo(f"{event_id}: {why}", fg="red")
    if counts["refused"]:
        raise typer.Exit(output.REFUSED)
