"""A SQLite store read from end to end, for verification and replay.

Promises to read what is written and nothing of what is kept in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import apsw
import msgspec

from service.domain.account import Account
from service.domain.draw import Hold
from service.domain.errors import StoreUnavailable
from service.engine.ports.ledger import Sealed, SealedPosting, Unreadable
from service.storage import rows
from service.storage.sqlite import seals
from service.storage.sqlite.clock import SqliteClock
from service.storage.sqlite.sql import STATEMENTS

Read = TypeVar("Read")
NO_TEXT: Final = "a record can't be read: a text in it is none, it was altered after it was written"


class SqliteLedger(ABC):
    """The reads of a ledger over a connection that the store owns."""

    _connection: apsw.Connection
    clock: SqliteClock

    @abstractmethod
    def _run(self, sql: str, bindings: Sequence[Any] = ()) -> list[Any]:
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
        decided = read_record(f"decision {row[2]:016x}", lambda: rows.decided(row, replayed=True))
        before = self._run(STATEMENTS["decision"], (decided.decision.previous,))
        return Sealed(decided, rows.is_intact(row, before[0][rows.CHAIN] if before else b""), row[rows.CHAIN])

    def sealed_posting(self, number: int) -> SealedPosting | None:
        """Find one posting with the verdict on its seal."""
        found = self._run(STATEMENTS["posting"], (number,))
        if not found:
            return None
        row = found[0]
        posting = read_record(f"posting {number:016x}", lambda: rows.posted(row, replayed=True)).posting
        before = self._run(STATEMENTS["posting"], (posting.previous,))
        return SealedPosting(
            posting,
            rows.is_posting_intact(row, before[0][rows.POSTING_CHAIN] if before else b""),
            row[rows.POSTING_CHAIN],
        )

    def posting_count(self) -> int:
        """Count the postings."""
        return int(self._run(STATEMENTS["posting_count"])[0][0])

    def holds_open(self, account_id: str) -> list[Hold]:
        """Read an account's holds that nobody closed, expired ones included."""
        return [rows.hold(row) for row in self._run(STATEMENTS["holds_open"], (account_id,))]

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


def _account(row: Sequence[Any]) -> Account:
    return read_record(f"account {row[0]}", lambda: rows.account(row))


def read_record(what: str, make: Callable[[], Read]) -> Read:
    """Read a record; raises Unreadable where its bytes are none that were ever written."""
    try:
        return make()
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{what} can't be read: it was altered after it was written") from error
