"""Migrations: numbered scripts, forward only, each in a transaction of its own.

Promises that a store newer than this build is refused, and one that is older is brought up to date before it is used.
"""

import re
from importlib import resources
from pathlib import Path
from typing import Final

import apsw

from service.storage.sqlite import before, seals

OURS: Final = frozenset(("accounts", "decisions", "idempotency_keys"))
"""Tables that every store has had since its first migration."""
SLIM_ROWS: Final = 32
"""What stands in the form of before is moved after this migration, in slices."""
BRING_THEIR_SEALS: Final = frozenset((SLIM_ROWS,))
"""Migrations that leave every table's seal true, so that nothing is read to seal it anew."""


class StoreRefused(Exception):
    """The store can't be opened as it is; the message says why and what to do."""


class StoreDamaged(StoreRefused):
    """The store is not what was written; the message says what is missing and what to do."""


def migrations() -> list[tuple[int, str]]:
    """Give the scripts by number, in order."""
    folder = resources.files("service.storage.sqlite").joinpath("migrations")
    files = sorted(entry.name for entry in folder.iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", entry.name))
    return [(int(name[:4]), folder.joinpath(name).read_text(encoding="utf-8")) for name in files]


def migrate(connection: apsw.Connection) -> None:
    """Run the migrations that the file lacks, each in a transaction of its own; one seals the tables anew.

    That is the last of those that don't bring their seals.
    """
    scripts = migrations()
    sealing = max(number for number, _ in scripts if number not in BRING_THEIR_SEALS)
    for number, script in scripts:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.pragma("user_version") < number:
                connection.execute(script)
                connection.execute(f"PRAGMA user_version = {number}")
                if number == SLIM_ROWS:
                    before.drop_empty(connection)
                if number == sealing:
                    seals.seal_anew(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def refuse_foreign(connection: apsw.Connection, path: Path) -> None:
    """Refuse another program's database, which was named by mistake; raises StoreRefused."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not tables >= OURS:
        raise StoreRefused(f"{path} is another program's database; name a file of its own for the store")


def refuse_newer(connection: apsw.Connection) -> None:
    """Refuse a store whose schema is not this build's; raises StoreRefused."""
    newest = migrations()[-1][0]
    version = connection.pragma("user_version")
    if version > newest:
        raise StoreRefused(f"the store has schema {version}, this build knows {newest}; run a newer build")
    if version < newest:
        raise StoreRefused(f"the store has schema {version}, this build needs {newest}; start the server once")
