"""Seals of tables: how many rows each holds and the sum of their hashes, kept by the writer in its own transactions.

Promises that a row which was changed, entered or deleted beside the writer, in whichever column, leaves its table's
seal broken: SQLite tells the writer's connection of every row before it changes (its preupdate hook), and nobody
else's. Tables whose rows are sealed one by one are left out, each with its reason; every other table is sealed, also
one that a later migration adds.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Final

import apsw
import msgspec

from service.storage.sqlite.sql import STATEMENTS, ExecuteMany

LEFT_OUT: Final = {
    "decisions": "append-only: each row is sealed by its account's chain, and the chains add up to all rows",
    "postings": "append-only: as the decisions",
    "decisions_before": "append-only: as the decisions",
    "postings_before": "append-only: as the decisions",
    "seals": "a seal that was changed, entered or deleted agrees with no table",
}
"""Tables without a seal, and why they need none."""

_MODULUS: Final = 1 << 128
_encode: Final = msgspec.msgpack.Encoder().encode


class Seals:
    """What the transaction in hand changes of each table's seal."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, int]] = {}
        """The seals as they were committed last, by table: rows and sum."""
        self._changes: dict[str, tuple[int, int]] = {}
        self._follow: Callable[[Callable[[apsw.PreUpdate], None] | None], None] = lambda _: None
        """Lets something hear of every row that the writer's connection changes; None: nothing."""
        self._is_following = True

    def attend(self, connection: apsw.Connection) -> None:
        """Read the seals of a store, and from now on follow every row that a connection changes."""
        self._changes.clear()
        self._sums = _kept(connection)
        self._follow = connection.preupdate_hook
        self._follow(self._note)
        self._is_following = True

    @contextmanager
    def told(self) -> Iterator[None]:
        """Follow nothing until the end, or until the transaction is dropped: the writer itself tells what it changes.

        That costs half as much.
        """
        self._is_following = False
        self._follow(None)
        yield
        self._go_on_following()

    def _go_on_following(self) -> None:
        if not self._is_following:
            self._follow(self._note)
            self._is_following = True

    def _note(self, update: apsw.PreUpdate) -> None:
        if (name := update.table_name) in LEFT_OUT:
            return
        operation = update.op
        before = [update.old or ()] if operation != "INSERT" else []
        after = [update.new or ()] if operation != "DELETE" else []
        self.tell(name, before, after)

    def tell(self, name: str, before: Sequence[Sequence[Any]], after: Sequence[Sequence[Any]]) -> None:
        """Take rows out of a table's seal, and others in; each with all columns in the table's order."""
        rows, total = self._changes.get(name, (0, 0))
        total += sum(map(_hash, after)) - sum(map(_hash, before))
        self._changes[name] = rows + len(after) - len(before), total

    def write(self, run_many: ExecuteMany) -> bool:
        """Write the seals of the tables that the transaction changed; gives whether there are any."""
        changes = self._changes
        if not changes:
            return False
        sums = self._sums
        run_many(
            "enter_seal",
            [_row(name, *_added(sums.get(name, (0, 0)), change)) for name, change in changes.items()],
        )
        return True

    def committed(self) -> None:
        """Take the transaction's changes over."""
        for name, change in self._changes.items():
            self._sums[name] = _added(self._sums.get(name, (0, 0)), change)
        self._changes.clear()

    def forget(self) -> None:
        """Drop the changes of a transaction that was rolled back."""
        self._go_on_following()
        self._changes.clear()


def seal_anew(connection: apsw.Connection) -> None:
    """Seal what a store holds; for one whose tables a migration has changed."""
    connection.execute("DELETE FROM seals")
    connection.executemany(
        STATEMENTS["enter_seal"], [_row(name, *summed(connection, name)) for name in sealed_tables(connection)]
    )


def broken(connection: apsw.Connection) -> list[str]:
    """Name the tables that hold something else than their seals say; reads every row, holds none."""
    try:
        kept = _kept(connection)
    except UnicodeDecodeError:
        return ["seals: a row was altered after it was written: a text in it is none"]
    names = sealed_tables(connection)
    faults = [f"{name}: a seal without a table" for name in kept if name not in names]
    for name in names:
        try:
            rows, total = summed(connection, name)
        except UnicodeDecodeError:
            faults.append(f"{name}: a row was altered after it was written: a text in it is none")
            continue
        if name not in kept:
            faults.append(f"{name}: its seal is missing")
        elif kept[name][0] != rows:
            faults.append(f"{name}: {rows} rows, {kept[name][0]} were written: some were deleted or entered by others")
        elif kept[name][1] != total:
            faults.append(f"{name}: a row was altered after it was written")
    return faults + _forgotten_numbers(connection)


def _forgotten_numbers(connection: apsw.Connection) -> list[str]:
    """Name the tables that would give a number anew; SQLite keeps the greatest one given in a table of its own.

    One that was made greater skips numbers, which harms nobody.
    """
    given = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
    numbered = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
    faults = []
    for (name,) in connection.execute(numbered).fetchall():
        greatest = connection.execute(f'SELECT coalesce(max(rowid), 0) FROM "{name}"').get  # noqa: S608 - as above.
        if given.get(name, 0) < greatest:
            faults.append(f"{name}: the numbers given were set back from {greatest}")
    return faults


def sealed_tables(connection: apsw.Connection) -> list[str]:
    """Name the tables that have a seal."""
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return [name for (name,) in found if name not in LEFT_OUT and not name.startswith("sqlite_")]


def summed(connection: apsw.Connection, name: str) -> tuple[int, int]:
    """Count a table's rows and add up their hashes."""
    rows = total = 0
    for row in connection.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 - a name of the schema.
        rows += 1
        total += _hash(row)
    return rows, total % _MODULUS


def _hash(row: Sequence[Any]) -> int:
    return int.from_bytes(blake2b(_encode(row), digest_size=16).digest())


def _added(seal: tuple[int, int], change: tuple[int, int]) -> tuple[int, int]:
    return seal[0] + change[0], (seal[1] + change[1]) % _MODULUS


def _row(name: str, rows: int, total: int) -> tuple[str, int, bytes]:
    return name, rows, total.to_bytes(16)


def _kept(connection: apsw.Connection) -> dict[str, tuple[int, int]]:
    return {name: (rows, int.from_bytes(total)) for name, rows, total in connection.execute("SELECT * FROM seals")}
