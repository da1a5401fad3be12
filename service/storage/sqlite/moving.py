"""Move accounts from the form of before into the form of now, a slice at a time; goes with `before.py`.

Promises that each slice is one transaction, so that whatever ends it leaves every account in one form, whole; and that
damage is never washed clean: an account whose records do not add up to it, by the links that they were written with, is
left as it is, told once, and named by `verify`.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import apsw
import structlog

from service.domain.account import Account
from service.domain.decision import own_limit_minor
from service.domain.errors import StoreUnavailable
from service.engine.ports.ledger import Unreadable
from service.storage import records, rows
from service.storage import rows_before as before
from service.storage.sqlite.before import SqliteBefore, drop_empty, link_of
from service.storage.sqlite.forms import read_record
from service.storage.sqlite.sql import STATEMENTS, Execute, ExecuteMany, numbers_of
from service.telemetry import account_hash

RECORDS_MAX: Final = 500
"""A slice takes accounts until it has about so many decisions in hand; one account is never parted."""
ACCOUNTS_MAX: Final = 200
REST_SECONDS: float = 5.0
"""So long empty tables stay, in seconds: who reads beside the writer asks them no more by then."""
ALL_LOOKED_AT: Final = "\U0010ffff"
"""Above every account's id: none is left to be moved, but what was refused."""
SECONDS: Final = 0.1
"""So often a slice is moved while calls come in; else one follows the other."""

LEFT: Final = "account left in the form of before"
"""`holdline verify` says which; the log has hashes of accounts only."""

log = structlog.get_logger("holdline.storage")


class Slice(NamedTuple):
    """What a slice moved, and the id after which the next one goes on; empty where no account is left to look at."""

    accounts: int
    records: int
    after_id: str


class Mover(Protocol):
    """A store that may hold accounts in the form of before; raises StoreUnavailable."""

    def move_slice(self) -> bool: ...  # noqa: D102 - the class docstring covers it.


def moved_on(store: Mover) -> bool:
    """Move a slice, and claim that there is more to move now; a chore."""
    try:
        return store.move_slice()
    except StoreUnavailable:
        log.warning("nothing moved out of the form of before: the store takes no writes")
        return False


class SqliteMoving(ABC):
    """The part of `SqliteStore` that knows whether anything stands in the form of before, and moves it."""

    _connection: apsw.Connection
    _run: Execute
    _run_many: ExecuteMany
    _read_only: bool
    _before: SqliteBefore | None
    _moved_to = ""
    """The id of the last account that was looked at to be moved."""
    _drops_at = 0.0
    """When what is empty is dropped, on the monotonic clock; 0 before every account was looked at."""

    @abstractmethod
    def begin(self) -> None:
        """Start a transaction."""

    @abstractmethod
    def commit(self) -> None:
        """Make the transaction durable."""

    @abstractmethod
    def rollback(self) -> None:
        """Drop the transaction."""

    def _is_left(self) -> bool:
        """Claim that the file has anything in the form of before."""
        try:
            if not self._connection.execute(STATEMENTS["before_is_left"]).fetchall():
                return False
            return not self._read_only or bool(self._connection.execute(STATEMENTS["before_has_rows"]).get)
        except apsw.Error:
            # Dropped between the two; or the schema can't be read, then nothing can, and `verify` says so.
            return False

    def _left(self) -> SqliteBefore | None:
        if self._before is not None and self._read_only and not self._is_left():
            # The writer has moved the last of it.
            self._before = None
        return self._before

    @property
    def is_left_to_move(self) -> bool:
        """Whether anything stands in the form of before that was not looked at, or is empty and not dropped."""
        return self._before is not None and self._moved_to != ALL_LOOKED_AT

    def move_slice(self) -> bool:
        """Move the next accounts out of the form of before, in a transaction of their own; claims there are more.

        Raises StoreUnavailable; nothing of the slice remains then, and the next call tries it again.
        """
        if not self.is_left_to_move or time.monotonic() < self._drops_at:
            return False
        is_over = is_gone = False
        self.begin()
        try:
            moved = move(self._run, self._run_many, self._moved_to)
            if not moved.after_id:
                self._drops_at = self._drops_at or time.monotonic() + REST_SECONDS
                is_over = time.monotonic() >= self._drops_at
                is_gone = is_over and drop_empty(self._connection)
            self.commit()
        except BaseException:
            self.rollback()
            raise
        if is_gone:
            self._before = None
        self._moved_to = ALL_LOOKED_AT if is_over else moved.after_id or self._moved_to
        return bool(moved.after_id)


class _Logs(NamedTuple):
    """An account's logs in the form of before, newest first, by number."""

    decisions: dict[int, Sequence[Any]]
    postings: dict[int, Sequence[Any]]


def move(run: Execute, run_many: ExecuteMany, after_id: str) -> Slice:
    """Move the next accounts after an id within the transaction in hand; `after_id` passes those that were left."""
    found = run(STATEMENTS["before_accounts_next"], (after_id, ACCOUNTS_MAX))
    accounts: list[Account] = []
    in_hand = 0
    for row in found:
        last_id = str(row[0])
        try:
            account = read_record(f"account {last_id}", lambda row=row: before.account(row))  # type: ignore[misc]  # bound at once.
        except Unreadable:
            log.error(LEFT, account=account_hash(last_id), why="it can't be read")
            continue
        accounts.append(account)
        in_hand += account.version
        if in_hand >= RECORDS_MAX:
            break
    if not found:
        return Slice(0, 0, "")
    logs = _Logs(
        _walked(run, "before_decisions_wanted", [account.last_decision for account in accounts]),
        _walked(run, "before_postings_wanted", [account.last_posting for account in accounts]),
    )
    moved = _Moved([], [], [])
    for account in accounts:
        try:
            moved.take(account, logs)
        except (Unreadable, _Broken) as error:
            log.error(LEFT, account=account_hash(account.account_id), why=str(error))
    moved.write(run_many)
    return Slice(len(moved.accounts), len(moved.decisions) + len(moved.postings), last_id)


class _Broken(Exception):
    """An account's records do not add up to it; the message says where."""


def _walked(run: Execute, statement: str, heads: Sequence[int]) -> dict[int, Sequence[Any]]:
    """Read the logs of accounts set-wise, back from their heads: product, currency and columns, by number."""
    found: dict[int, Sequence[Any]] = {}
    wanted = [number for number in heads if number]
    while wanted:
        read = run(STATEMENTS[statement], (numbers_of(wanted),))
        wanted = []
        for _product, _currency, number, previous, *_ in read:
            # What links forward or in a circle is found broken by whoever takes the account's log.
            if 0 < previous < number and previous not in found:
                wanted.append(previous)
        found.update({row[2]: row for row in read})
    return found


class _Moved(NamedTuple):
    """New rows of accounts that were taken."""

    accounts: list[rows.AccountRow]
    decisions: list[rows.DecisionRow]
    postings: list[rows.PostingRow]

    def take(self, account: Account, logs: _Logs) -> None:
        """Make an account's rows anew, its old links checked first; raises Unreadable or _Broken."""
        written: records.Written = {}
        decisions, chain = _decisions(account, logs.decisions, written)
        postings, postings_chain = _postings(account, logs.postings)
        self.decisions.extend(decisions)
        self.postings.extend(postings)
        self.accounts.append(rows.account_row(account, chain, postings_chain, {}))

    def write(self, run_many: ExecuteMany) -> None:
        """Write the new rows, and forget the old ones."""
        for name, own in (("decision", self.decisions), ("posting", self.postings), ("account", self.accounts)):
            if own:
                run_many(f"insert_{name}", own)
                run_many(f"before_delete_{name}", [(key,) for key, *_ in own])


def _decisions(
    account: Account, log_before: dict[int, Sequence[Any]], written: records.Written
) -> tuple[list[rows.DecisionRow], bytes]:
    oldest_first = _log(account.last_decision, log_before, "decision")
    _refuse_broken(oldest_first, account.chain, before.is_intact, "decision")
    if len(oldest_first) != account.version:
        raise _Broken(f"it has {len(oldest_first)} decisions, and version {account.version}")
    made: list[rows.DecisionRow] = []
    chain = b""
    last = None
    for row in oldest_first:
        decision = read_record("a decision", lambda row=row: before.decided(row, replayed=True).decision)  # type: ignore[misc]  # bound at once.
        if decision.account_id != account.account_id:
            raise _Broken(f"decision {decision.number:016x} is another's")
        facts = records.facts_of(decision.profile, written)
        record = records.decision_record(decision, facts.hash)
        chain = rows.chain_after(chain, record)
        made.append(rows.DecisionRow(decision.number, decision.account_id, record, facts.content, chain))
        # Profiles are known by their identity, so none may go while its like can come.
        last = decision
        written.clear()
    if last is not None and (own_limit_minor(last), last.status) != (account.limit_minor, account.status):
        raise _Broken("its limit or status does not follow from its last decision")
    return made, chain


def _postings(account: Account, log_before: dict[int, Sequence[Any]]) -> tuple[list[rows.PostingRow], bytes]:
    oldest_first = _log(account.last_posting, log_before, "posting")
    _refuse_broken(oldest_first, account.postings_chain, before.is_posting_intact, "posting")
    made: list[rows.PostingRow] = []
    chain = b""
    for row in oldest_first:
        posting = read_record("a posting", lambda row=row: before.posted(row, replayed=True).posting)  # type: ignore[misc]  # bound at once.
        if posting.account_id != account.account_id:
            raise _Broken(f"posting {posting.number:016x} is another's")
        record = records.posting_record(posting)
        chain = rows.chain_after(chain, record)
        made.append(rows.PostingRow(posting.number, posting.account_id, record, chain))
    return made, chain


def _log(head: int, found: dict[int, Sequence[Any]], what: str) -> list[Sequence[Any]]:
    """Give one account's log, oldest first."""
    newest_first = []
    number = head
    while number:
        row = found.get(number)
        if row is None:
            raise _Broken(f"{what} {number:016x} is missing")
        newest_first.append(row)
        _product, _currency, own, previous, *_ = row
        if not 0 <= previous < own:
            raise _Broken(f"{what} {number:016x} links forward")
        number = previous
    return newest_first[::-1]


def _refuse_broken(
    oldest_first: Sequence[Sequence[Any]], head: bytes, is_intact: Callable[[Sequence[Any], bytes], bool], what: str
) -> None:  # fmt: skip
    chain = b""
    for row in oldest_first:
        if not is_intact(row, chain):
            raise _Broken(f"a {what} was altered after it was written")
        chain = link_of((row,))
    if chain != head:
        raise _Broken(f"its chain ends elsewhere than in its last {what}")
