"""Behaviour events in SQLite: the table of migration 5 and the accounts' column.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Mapping, Sequence

import apsw

from service.domain.book import Book
from service.storage.behaviours import behaviour_bytes
from service.storage.rows import AccountRow
from service.storage.sqlite.before import Left
from service.storage.sqlite.seals import Seals
from service.storage.sqlite.sql import STATEMENTS, Execute, ExecuteMany


class SqliteEvents:
    """The statements of migration 5."""

    def __init__(self, run: Execute, run_many: ExecuteMany, left: Left) -> None:
        self._run = run
        self._left = left
        self._run_many = run_many

    def taken(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Find which events were taken before: fingerprints by key."""
        if not keys:
            # An array of none can't be bound.
            return {}
        return dict(self._run(STATEMENTS["events_taken"], (apsw.carray(tuple(keys)),)))

    def write(self, book: Book, fetched: Mapping[str, AccountRow], seals: Seals) -> None:
        """Write a book's events and what they left of their accounts; `fetched` are these as they are stored.

        An account that is not among them was opened by the same book, with its behaviour, or has the form of before.
        """
        if book.events:
            entered = [(one.key, one.fingerprint, one.event.occurred_us, one.caller) for one in book.events]
            with seals.told():
                self._run_many("insert_event", entered)
                seals.tell("events", (), entered)
        behaved = {name: behaviour_bytes(book.accounts[name].behaviour) for name in book.behaved - book.changed}
        stored = [fetched[name] for name in behaved if name in fetched]
        if stored:
            after = [row._replace(behaviour=behaved[row.account_id]) for row in stored]
            with seals.told():
                self._run_many("update_behaviour", [(row.behaviour, row.account_id) for row in after])
                seals.tell("accounts", stored, after)
        if len(stored) < len(behaved) and (before := self._left()) is not None:
            before.write_behaviours([(content, name) for name, content in behaved.items() if name not in fetched])

    def purge(self, before_us: int, after_key: str, count: int) -> str:
        """Forget what occurred before a time among the next `count` events after a key; gives the last key, or none."""
        found = self._run(STATEMENTS["events_slice"], (after_key, count))
        expired = [(key,) for key, occurred_us in found if occurred_us < before_us]
        if expired:
            self._run_many("delete_event", expired)
        return str(found[-1][0]) if len(found) == count else ""
