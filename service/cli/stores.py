"""`holdline verify | replay`: hold a store against its promises, beside a running server or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import output
from service.cli.output import PROMISE_BROKEN, Json
from service.exit_codes import NOT_HERE

if TYPE_CHECKING:
    from service.engine.ports.ledger import Ledger

Store = Annotated[str, typer.Option(envvar="HOLDLINE_STORE", help="The store: sqlite:///PATH.")]
STORE = "sqlite:///holdline.db"
DAMAGE_KINDS = ("CorruptError", "NotADBError")
"""What a store says where its file can't be read, however often one tries."""


@contextmanager
def opened(store: str) -> Iterator[Ledger]:
    """Open a store to read it from end to end; ends the command where it can't be opened."""
    from service import bootstrap
    from service.domain.errors import StoreUnavailable
    from service.storage import opening
    from service.storage.sqlite.migrate import StoreDamaged, StoreRefused

    try:
        with opening.open_ledger(store, bootstrap.now_us) as ledger:
            yield ledger
    except (StoreRefused, StoreUnavailable) as error:
        output.echo(f"{store}: {error}", fg="red", err=True)
        if isinstance(error, StoreDamaged) or getattr(error, "metadata", {}).get("kind") in DAMAGE_KINDS:
            raise typer.Exit(PROMISE_BROKEN) from error
        raise typer.Exit(NOT_HERE if isinstance(error, StoreRefused) else output.UNREACHABLE) from error


def verify(store: Store = STORE, as_json: Json = False) -> None:
    """Check every account, decision and key: hash chains, limits, versions, keys, the file itself."""
    from service.storage.verify import verify as verify_ledger

    with opened(store) as ledger:
        found = verify_ledger(ledger)
    if as_json:
        output.print_json(found._asdict())
    else:
        output.echo(f"{found.accounts} accounts, {found.decisions} decisions looked at")
        for fault in found.faults:
            output.echo(fault, fg="red")
        output.echo("whole: every promise holds" if not found.faults else f"{len(found.faults)} faults")
    if found.faults:
        raise typer.Exit(PROMISE_BROKEN)


def replay(store: Store = STORE, as_json: Json = False) -> None:
    """Decide every recorded decision again by its own policy version and compare bit by bit."""
    from service import bootstrap
    from service.engine.replay import replay as replay_ledger

    with opened(store) as ledger:
        found = replay_ledger(ledger, bootstrap.make_control())
    if as_json:
        output.print_json(found._asdict())
    else:
        judged = found.decisions - found.erased
        output.echo(f"{judged} decisions judged again, {len(found.differences)} differ")
        if found.erased:
            output.echo(f"{found.erased} can't be judged again: their facts were erased")
        for difference in found.differences:
            output.echo(difference, fg="red")
    if found.differences:
        raise typer.Exit(PROMISE_BROKEN)
