"""What a store still holds in the form of before migration 32: a column a field, in tables of their own.

Each account has one form at a time, and all its decisions and postings have the account's. Here accounts of that form
are read, decided on and written; `moving.py` moves them, a slice at a time. Goes, with `rows_before.py` and
`statements/before.sql`, when no store has that form any more.

Promises readers beside the writer that no record is missed while it moves: they ask here first, and what is not here
any more stands in its new place by then.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import apsw

from service.domain.account import Account
from service.domain.book import Book
from service.domain.decision import Decided
from service.domain.draw import Posted
from service.engine.ports.ledger import Sealed, SealedPosting
from service.storage import rows_before as rows
from service.storage.sqlite.forms import read_record
from service.storage.sqlite.seals import Seals
from service.storage.sqlite.sql import STATEMENTS, Execute, ExecuteMany

Read = TypeVar("Read")
TABLES: Final = ("accounts_before", "decisions_before", "postings_before")


def drop_empty(connection: apsw.Connection) -> bool:
    """Drop the tables of the form of before where nothing stands in them; gives whether they are gone.

    They stay where rows are left that belong to no account, or where the accounts that were moved were others than had
    been written: then their seal is not zero, and `verify` goes on to say so. Within a transaction.
    """
    if not connection.execute(STATEMENTS["before_is_left"]).fetchall():
        return True
    if any(connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchall() for name in TABLES):  # noqa: S608 - our names.
        return False
    seal: list[Any] = connection.execute(STATEMENTS["before_seal"]).fetchall()
    if any(count or any(total) for count, total in seal):
        return False
    connection.execute(STATEMENTS["before_forget_seal"])
    connection.execute(STATEMENTS["before_drop"])
    return True


Left = Callable[[], "SqliteBefore | None"]
"""Gives what is left in the form of before, None where nothing is."""


class SqliteBefore:
    """The statements of `before.sql`."""

    def __init__(self, run: Execute, run_many: ExecuteMany) -> None:
        self._run = run
        self._run_many = run_many
        self._fetched: dict[str, rows.Row] = {}
        """The accounts of this form that the transaction in hand has fetched, as they are stored."""

    def fetch(self, names: Sequence[str]) -> dict[str, Account]:
        """Find accounts by id for a transaction that may write them."""
        found = self._run(STATEMENTS["before_accounts"], (apsw.carray(tuple(set(names))),))
        self._fetched = {row[0]: row for row in found}
        return {name: rows.account(row) for name, row in self._fetched.items()}

    def write(self, book: Book, seals: Seals) -> Book:
        """Write what a book holds of accounts of this form; gives the book of the others."""
        own = {name for name in book.changed if name in self._fetched}
        if not own:
            return book
        sheet = rows.sheet(_part(book, own, is_of=True))
        if sheet.decisions:
            self._run_many("before_insert_decision", sheet.decisions)
        if sheet.postings:
            self._run_many("before_insert_posting", sheet.postings)
        self._run_many("before_update_account", sheet.changed)
        seals.tell("accounts_before", [self._fetched[row[0]] for row in sheet.changed], sheet.changed)
        return _part(book, own, is_of=False)

    def write_behaviours(self, behaved: Sequence[tuple[bytes, str]]) -> None:
        """Write what events left of accounts, those of this form."""
        self._run_many("before_update_behaviour", behaved)

    def account(self, account_id: str) -> Account | None:
        """Find one account."""
        found = self._run(STATEMENTS["before_accounts"], (apsw.carray((account_id,)),))
        return rows.account(found[0]) if found else None

    def read_account(self, row: Sequence[Any]) -> Account:
        """Give the account of a row; raises Unreadable."""
        account_id, *_ = row
        return read_record(f"account {account_id}", lambda: rows.account(row))

    def accounts_after(self, after_id: str, upto_id: str, count: int) -> list[Account]:
        """Read accounts in order within a range of ids."""
        found = self._run(STATEMENTS["before_accounts_after"], (after_id, upto_id, count))
        return [rows.account(row) for row in found]

    def decision(self, number: int) -> Decided | None:
        """Find one decision."""
        found = self._run(STATEMENTS["before_decision"], (number,))
        return rows.decided(found[0], replayed=True) if found else None

    def decisions(self, name: str, number: int, count: int) -> list[Decided]:
        """Read decisions from after or from before a number."""
        found = self._run(STATEMENTS[f"before_{name}"], (number, count))
        return [rows.decided(row, replayed=True) for row in found]

    def posting(self, number: int) -> Posted | None:
        """Find one posting."""
        found = self._run(STATEMENTS["before_posting"], (number,))
        return rows.posted(found[0], replayed=True) if found else None

    def keys_expired(self, before_number: int, count: int) -> list[tuple[int, str]]:
        """Find the next keys to purge, each with its number."""
        return [(number, key) for number, key in self._run(STATEMENTS["before_keys_expired"], (before_number, count))]

    def sealed(self, number: int) -> Sealed | None:
        """Find one decision with the verdict on its seal."""
        found = self._run(STATEMENTS["before_decision"], (number,))
        return self.seal(found[0]) if found else None

    def seal(self, row: Sequence[Any]) -> Sealed:
        """Give a decision's row with the verdict on its seal."""
        _product, _currency, number, *_ = row
        decided = read_record(f"decision {number:016x}", lambda: rows.decided(row, replayed=True))
        before = self._run(STATEMENTS["before_decision"], (decided.decision.previous,))
        return Sealed(decided, rows.is_intact(row, link_of(before)), link_of((row,)))

    def sealed_posting(self, number: int) -> SealedPosting | None:
        """Find one posting with the verdict on its seal."""
        found = self._run(STATEMENTS["before_posting"], (number,))
        if not found:
            return None
        row = found[0]
        posting = read_record(f"posting {number:016x}", lambda: rows.posted(row, replayed=True)).posting
        before = self._run(STATEMENTS["before_posting"], (posting.previous,))
        return SealedPosting(posting, rows.is_posting_intact(row, link_of(before)), link_of((row,)))

    def count(self, name: str) -> int:
        """Count by a statement."""
        return int(self._run(STATEMENTS[name], ())[0][0])


def _part(book: Book, names: set[str], *, is_of: bool) -> Book:
    """Give what a book changes of some accounts, or of all others."""
    part = Book(book.accounts, {}, {}, {}, book.last_number)
    part.decisions = [one for one in book.decisions if (one[1].account_id in names) is is_of]
    part.postings = [one for one in book.postings if (one[1].account_id in names) is is_of]
    part.created = set() if is_of else book.created
    part.changed = names if is_of else book.changed - names
    return part


def merged(
    first: Sequence[Read], after: Sequence[Read], count: int, place: Callable[[Read], Any], *,
    is_descending: bool = False,
) -> list[Read]:  # fmt: skip
    """Merge what was read here first with what was read of the new form after, in order; each once."""
    found = {place(one): one for one in (*first, *after)}
    return [found[at] for at in sorted(found, reverse=is_descending)][:count]


def link_of(found: Sequence[Sequence[Any]]) -> bytes:
    """Give the link of a record that was found, which stands last; nothing where there is none."""
    for *_, link in found:
        return bytes(link)
    return b""
