"""A SQLite store read from end to end, for verification and replay.

Promises to read what is written and nothing of what is kept in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import chain
from typing import Any, Final

import apsw

from service.domain.account import Account
from service.domain.draw import Hold
from service.domain.errors import StoreUnavailable
from service.engine.ports.ledger import Sealed, SealedPosting, Unreadable
from service.storage import records, rows
from service.storage.sqlite import seals
from service.storage.sqlite.before import SqliteBefore
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
    def _left(self) -> SqliteBefore | None:
        """Give what is left in the form of before, None where nothing is."""

    @abstractmethod
    def _run(self, sql: str, bindings: Bindings = ()) -> list[Any]:
        """Run a statement and give its rows; raises StoreUnavailable."""

    def accounts(self) -> Iterator[Account]:
        """Read every account; after one that raises Unreadable the next can be asked for."""
        accounts = map(_account, self._rows(STATEMENTS["accounts_all"]))
        if (before := self._left()) is not None:
            return chain(map(before.read_account, self._rows(STATEMENTS["before_accounts_all"])), accounts)
        return accounts

    def _rows(self, sql: str) -> Iterator[Sequence[Any]]:
        try:
            yield from self._connection.execute(sql)
        except apsw.Error as error:
            raise StoreUnavailable(kind=type(error).__name__) from error
        except UnicodeDecodeError as error:
            raise Unreadable(NO_TEXT) from error

    def sealed(self, number: int) -> Sealed | None:
        """Find one decision with the verdict on its seal."""
        before = self._left()
        if before is not None and (sealed := before.sealed(number)) is not None:
            return sealed
        found = self._run(STATEMENTS["decision"], (number,))
        return self._seal(found[0]) if found else None

    def sealed_all(self) -> Iterator[Sealed]:
        """Read every decision, oldest first, with the verdict on its seal."""
        read = self._rows(STATEMENTS["decisions_all"])
        before = self._left()
        if before is None:
            return map(self._seal, read)
        both = merge(
            ((row, self._seal) for row in read),
            ((row, before.seal) for row in self._rows(STATEMENTS["before_decisions_all"])),
            key=lambda one: _number(one[0]),
        )
        return map(_judged, both)

    def _seal(self, row: Sequence[Any]) -> Sealed:
        found = rows.FoundDecision._make(row)
        decided = read_record(f"decision {found.number:016x}", lambda: rows.decided(found, replayed=True))
        before = self._run(STATEMENTS["decision"], (decided.decision.previous,))
        chain_before = rows.FoundDecision._make(before[0]).chain if before else b""
        return Sealed(decided, rows.is_intact(found, chain_before), found.chain)

    def sealed_posting(self, number: int) -> SealedPosting | None:
        """Find one posting with the verdict on its seal."""
        left = self._left()
        if left is not None and (sealed := left.sealed_posting(number)) is not None:
            return sealed
        read = self._run(STATEMENTS["posting"], (number,))
        if not read:
            return None
        found = rows.FoundPosting._make(read[0])
        posting = read_record(f"posting {number:016x}", lambda: rows.posted(found, replayed=True)).posting
        before = self._run(STATEMENTS["posting"], (posting.previous,))
        chain_before = rows.FoundPosting._make(before[0]).chain if before else b""
        return SealedPosting(posting, rows.is_posting_intact(found, chain_before), found.chain)

    def posting_count(self) -> int:
        """Count the postings."""
        before = self._left()
        left = before.count("before_posting_count") if before is not None else 0
        return left + int(self._run(STATEMENTS["posting_count"])[0][0])

    def holds_open(self, account_id: str) -> list[Hold]:
        """Read an account's holds that nobody closed, expired ones included."""
        return HOLDS.records(self._run(STATEMENTS["holds_open"], (account_id,)))

    def decision_count(self) -> int:
        """Count the decisions."""
        before = self._left()
        left = before.count("before_decision_count") if before is not None else 0
        return left + int(self._run(STATEMENTS["decision_count"])[0][0])

    def keys_without_decision(self) -> int:
        """Count keys whose decision, posting or change is missing or another's."""
        without = int(self._run(STATEMENTS["keys_without_change"])[0][0])
        name = "keys_of_records" if self._left() is None else "keys_of_both"
        for key, decision, posting, *key_before in self._rows(STATEMENTS[name]):
            without += key not in (records.key_of_either(decision, posting), *key_before)
        return without

    def damage(self) -> list[str]:
        """Find damage of the file, a kept time that was changed, and broken seals of tables; empty where none are."""
        try:
            found = [f"file: {line}" for (line,) in self._connection.execute("PRAGMA integrity_check") if line != "ok"]
            return found + self.clock.damage() + seals.broken(self._connection)
        except apsw.Error as error:
            return [f"file: {error}"]


def _account(row: Sequence[Any]) -> Account:
    found = rows.AccountRow._make(row)
    return read_record(f"account {found.account_id}", lambda: rows.account(found))


def _judged(one: tuple[Sequence[Any], Callable[[Sequence[Any]], Sealed]]) -> Sealed:
    row, seal = one
    return seal(row)


def _number(row: Sequence[Any]) -> int:
    """Give the number of a decision that was found in either form: after its account's constant parts."""
    _product, _currency, number, *_ = row
    return int(number)
