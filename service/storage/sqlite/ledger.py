"""A SQLite store read from end to end, for verification and replay.

Promises to read what is written and nothing of what is kept in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw

from service.domain.account import Account
from service.domain.draw import Hold
from service.domain.errors import StoreUnavailable
from service.engine.ports.ledger import Sealed, SealedPosting, Unreadable
from service.storage import rows
from service.storage.sqlite import seals
from service.storage.sqlite.clock import SqliteClock
from service.storage.sqlite.draws import HOLDS
from service.storage.sqlite.forms import read_record
from service.storage.sqlite.sql import STATEMENTS, Bindings

NO_TEXT: Final = "a record can't be read: a text in it is none, it was altered after it was written"


class SqliteLedger(ABC):
    """The reads of a ledger over a connection that the store owns."""

    _connection: apsw.Connection
    clock: SqliteClock

    @abstractmethod
    def _run(self, sql: str, bindings: Bindings = ()) -> list[Any]:
        """Run a statement and give its rows; raises StoreUnavailable."""

    def accounts(self) -> Iterator[Account]:
        """Read every account; after one that raises Unreadable the next can be asked for."""
        return map(_account, self._rows(STATEMENTS["accounts_all"]))

    def _rows(self, sql: str) -> Iterator[Sequence[Any]]:
        try:
            yield from self._connection.execute(sql)
        except apsw.Error as error:
            raise StoreUnavailable(kind=type(error).__name__) from error
        except UnicodeDecodeError as error:
            raise Unreadable(NO_TEXT) from error

    def sealed(self, number: int) -> Sealed | None:
        """Find one decision with the verdict on its seal."""
        found = self._run(STATEMENTS["decision"], (number,))
        return self._seal(found[0]) if found else None

    def sealed_all(self) -> Iterator[Sealed]:
        """Read every decision, oldest first, with the verdict on its seal."""
        return map(self._seal, self._rows(STATEMENTS["decisions_all"]))

    def _seal(self, row: Sequence[Any]) -> Sealed:
        _, _, number, *_, link = row
        decided = read_record(f"decision {number:016x}", lambda: rows.decided(row, replayed=True))
        before = _link_of(self._run(STATEMENTS["decision"], (decided.decision.previous,)))
        return Sealed(decided, rows.is_intact(row, before), link)

    def sealed_posting(self, number: int) -> SealedPosting | None:
        """Find one posting with the verdict on its seal."""
        found = self._run(STATEMENTS["posting"], (number,))
        if not found:
            return None
        (row,) = found
        posting = read_record(f"posting {number:016x}", lambda: rows.posted(row, replayed=True)).posting
        before = _link_of(self._run(STATEMENTS["posting"], (posting.previous,)))
        *_, link = row
        return SealedPosting(posting, rows.is_posting_intact(row, before), link)

    def posting_count(self) -> int:
        """Count the postings."""
        return int(self._run(STATEMENTS["posting_count"])[0][0])

    def holds_open(self, account_id: str) -> list[Hold]:
        """Read an account's holds that nobody closed, expired ones included."""
        return HOLDS.records(self._run(STATEMENTS["holds_open"], (account_id,)))

    def decision_count(self) -> int:
        """Count the decisions."""
        return int(self._run(STATEMENTS["decision_count"])[0][0])

    def keys_without_decision(self) -> int:
        """Count keys whose decision is missing or another's."""
        return int(self._run(STATEMENTS["keys_without_decision"])[0][0])

    def damage(self) -> list[str]:
        """Find damage of the file, a kept time that was changed, and broken seals of tables; empty where none are."""
        try:
            found = [f"file: {line}" for (line,) in self._connection.execute("PRAGMA integrity_check") if line != "ok"]
            return found + self.clock.damage() + seals.broken(self._connection)
        except apsw.Error as error:
            return [f"file: {error}"]


def _link_of(found: Sequence[Sequence[Any]]) -> bytes:
    """Give the link of a record that was found, which stands last; nothing where there is none."""
    for *_, link in found:
        return bytes(link)
    return b""


def _account(row: Sequence[Any]) -> Account:
    account_id, *_ = row
    return read_record(f"account {account_id}", lambda: rows.account(row))
