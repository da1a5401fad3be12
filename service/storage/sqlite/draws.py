"""Postings and holds in SQLite, and what a key stands for.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import apsw

from service.domain.account import Account
from service.domain.book import ELSEWHERE, Elsewhere, Recorded
from service.domain.decision import Decided, Decision
from service.domain.draw import Hold, HoldState, Posted, Posting
from service.engine.ports.store import NUMBER_MAX
from service.storage import rows
from service.storage.sqlite.before import Left
from service.storage.sqlite.forms import Form, number_of, read_record
from service.storage.sqlite.sql import STATEMENTS, Execute

HOLDS: Final = Form(Hold, {"state": number_of(HoldState)}, reads="hold holds holds_open", enters="enter_hold")

Found = TypeVar("Found", Decided, Posted)


class SqliteDraws:
    """The part of `SqliteStore` that reads the log of postings."""

    _run: Execute
    _left: Left
    account: Callable[[str], Account | None]
    decision: Callable[[int], Decided | None]

    def recorded(self, keys: Sequence[str]) -> dict[str, Recorded | Elsewhere]:
        """Give what keys (caller and request id) stand for, those that stand for anything."""
        answers: dict[str, Recorded | Elsewhere] = {}
        for row in self._run(STATEMENTS["recorded"], (apsw.carray(tuple(keys)),)) if keys else ():
            found = rows.FoundKey._make(row)
            if found.record:
                answers[found.key] = rows.decided(found, replayed=True)
            elif found.stands_for < 0:
                answers[found.key] = ELSEWHERE
            elif (record := self.posting(found.stands_for) or self._before_or_after(found.stands_for)) is not None:
                answers[found.key] = record
        return answers

    def _before_or_after(self, number: int) -> Decided | None:
        """Find a decision whose account may have moved since its key was read."""
        return self.decision(number) if self._left() is not None else None

    def posting(self, number: int) -> Posted | None:
        """Find one posting."""
        before = self._left()
        if before is not None and (posted := before.posting(number)) is not None:
            return posted
        found = self._run(STATEMENTS["posting"], (number,))
        return rows.posted(rows.FoundPosting._make(found[0]), replayed=True) if found else None

    def account_postings(self, account_id: str, before: int, count: int) -> list[Posted]:
        """Walk an account's postings back, newest first, from before a number (0: from the newest)."""
        account = self.account(account_id)
        newest = account.last_posting if account else 0
        return walked(account_id, newest, before, count, self.posting, lambda posted: posted.posting)

    def hold(self, account_id: str, number: int) -> Hold | None:
        """Find one hold."""
        found = self._run(STATEMENTS["hold"], (account_id, number))
        return read_record(f"hold {number:016x}", lambda: HOLDS.record(found[0])) if found else None

    def account_holds(self, account_id: str, before: int, count: int) -> list[Hold]:
        """Read an account's holds as they are stored, newest first, from before a number (0: from the newest)."""
        return HOLDS.records(self._run(STATEMENTS["holds"], (account_id, before or NUMBER_MAX, count)))


def walked(
    account_id: str, newest: int, before: int, count: int, find: Callable[[int], Found | None],
    record_of: Callable[[Found], Decision | Posting],
) -> list[Found]:  # fmt: skip
    """Walk an account's log back from its newest record, or from the one before `before` where that is its own."""
    number = newest
    if before:
        start = find(before)
        number = record_of(start).previous if start and record_of(start).account_id == account_id else 0
    found: list[Found] = []
    while number and len(found) < count and (one := find(number)) is not None:
        found.append(one)
        number = record_of(one).previous
    return found
