"""A SQLite store read from end to end, for verification and replay.

Promises to read what is written and nothing of what is kept in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from service.domain.account import Account
from service.domain.draw import Hold
from service.engine.ports import Sealed, SealedPosting
from service.storage import rows
from service.storage.sqlite_clock import SqliteClock
from service.storage.statements import STATEMENTS


class SqliteLedger(ABC):
    """The reads of a ledger over a connection that the store owns."""

    _connection: apsw.Connection
    clock: SqliteClock

    @abstractmethod
    def _run(self, sql: str, bindings: Sequence[Any] = ()) -> list[Any]:
        """Run a statement and give its rows; raises StoreUnavailable."""

    def accounts(self) -> Iterator[Account]:
        """Read every account."""
        return (rows.account(row) for row in self._connection.execute(STATEMENTS["accounts_all"]))

    def sealed(self, number: int) -> Sealed | None:
        """Find one decision with the verdict on its seal."""
        found = self._run(STATEMENTS["decision"], (number,))
        return self._seal(found[0]) if found else None

    def sealed_all(self) -> Iterator[Sealed]:
        """Read every decision, oldest first, with the verdict on its seal."""
        return (self._seal(row) for row in self._connection.execute(STATEMENTS["decisions_all"]))

    def _seal(self, row: Sequence[Any]) -> Sealed:
        decided = rows.decided(row, replayed=True)
        before = self._run(STATEMENTS["decision"], (decided.decision.previous,))
        return Sealed(decided, rows.is_intact(row, before[0][rows.CHAIN] if before else b""), row[rows.CHAIN])

    def sealed_posting(self, number: int) -> SealedPosting | None:
        """Find one posting with the verdict on its seal."""
        found = self._run(STATEMENTS["posting"], (number,))
        if not found:
            return None
        row, posting = found[0], rows.posted(found[0], replayed=True).posting
        before = self._run(STATEMENTS["posting"], (posting.previous,))
        return SealedPosting(posting, rows.is_posting_intact(row, before[0][-1] if before else b""), row[-1])

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
        """Ask SQLite for damage of the file, and for a kept time that was changed; empty where there is none."""
        return [line for (line,) in self._run("PRAGMA integrity_check") if line != "ok"] + self.clock.damage()
