"""The embedded store: one SQLite file, one writer, WAL, synchronous FULL.

Promises durability at `commit`: it returns after the write-ahead log was synced. A write or sync that fails leaves
nothing of its transaction; the store then starts its log anew before it takes another write, because the kernel may
report a failed sync only once. Nothing is acknowledged once the file or its log no longer stand under their names.
Refuses a SQLite with the WAL-reset bug, a second writer, a file that lacks commits which were made, and a schema newer
than its own.
"""

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from service.domain.account import Account
from service.domain.book import NUMBER_SHIFT, Book, Wanted, beside
from service.domain.decision import Decided
from service.domain.errors import StoreUnavailable
from service.domain.watch import Look, look_at
from service.engine.ports.ledger import Unreadable
from service.engine.ports.store import ControlRow
from service.storage import records, rows
from service.storage.sqlite.before import SqliteBefore, merged
from service.storage.sqlite.cases import SqliteCases
from service.storage.sqlite.clock import SqliteClock
from service.storage.sqlite.custody import Custody, copy
from service.storage.sqlite.draws import SqliteDraws, walked
from service.storage.sqlite.events import SqliteEvents
from service.storage.sqlite.ledger import NO_TEXT, SqliteLedger
from service.storage.sqlite.migrate import StoreRefused
from service.storage.sqlite.moving import SqliteMoving
from service.storage.sqlite.outbox import SqliteOutbox
from service.storage.sqlite.playbooks import SqlitePlaybooks
from service.storage.sqlite.policies import SqlitePolicies
from service.storage.sqlite.runs import SqliteRuns
from service.storage.sqlite.sql import STATEMENTS, Bindings

STATEMENTS_CACHED = 64
BUSY_MS_MAX = 5_000
"""Longest wait for a lock that a reader or a backup holds, in milliseconds."""

LOG_PAGES_MAX = 65_536
"""Longest log that is left to the checkpointer, in pages: 256 MiB, recovered in about a second."""

FILE_CHUNK_BYTES = 4 * 1024 * 1024

_PRAGMAS = (
    "PRAGMA page_size = 4096",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    # Checkpoints are the checkpointer's, beside the decisions; this bound is for when it can't keep up.
    f"PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}",
    "PRAGMA journal_size_limit = 67108864",
)


def has_wal_reset_bug(version: str) -> bool:
    """Claim that a SQLite version can lose commits (sqlite.org/wal.html#walresetbug)."""
    parts = tuple(int(part) for part in version.split("."))
    fixed_in_branch: dict[tuple[int, ...], tuple[int, ...]] = {(3, 50): (3, 50, 7), (3, 44): (3, 44, 6)}
    return parts < fixed_in_branch.get(parts[:2], (3, 51, 3))


class SqliteStore(SqliteMoving, SqliteDraws, SqlitePolicies, SqliteLedger):
    """A store in one SQLite file; `vfs` names the layer that does its I/O, the system's own where empty."""

    def __init__(self, path: Path, now_us: Callable[[], int], *, read_only: bool = False, vfs: str = "") -> None:
        """Open the file, lock it and migrate it; raises StoreRefused or StoreUnavailable.

        `now_us` is the store's clock: microseconds since the epoch UTC.
        """
        if has_wal_reset_bug(apsw.sqlite_lib_version()):
            raise StoreRefused(
                f"SQLite {apsw.sqlite_lib_version()} has the WAL-reset bug; install apsw 3.51.3 or newer"
            )
        self.now_us = now_us
        self._before: SqliteBefore | None = SqliteBefore(self._run, self._run_many)
        self.playbooks = SqlitePlaybooks(self._run, self._left)
        self.runs = SqliteRuns(self._run, self._left)
        self.outbox = SqliteOutbox(self._run, self._run_many)
        self.cases = SqliteCases(self._run)
        self.clock = SqliteClock(self._run)
        self._events = SqliteEvents(self._run, self._run_many, self._left)
        self._read_only = read_only
        self._vfs = vfs or None
        self._is_broken = False
        self._fetched: dict[str, rows.AccountRow] = {}
        """The accounts that the transaction in hand has fetched, as they are stored."""
        self.log_is_long = threading.Event()
        self._custody = Custody(path, is_writer=not read_only)
        self._path = self._custody.path
        self._connection = self._custody.opened(self._open)
        if not self._is_left():
            self._before = None

    def _open(self) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READONLY if self._read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        connection = apsw.Connection(str(self._path), flags, self._vfs, STATEMENTS_CACHED)
        connection.set_busy_timeout(BUSY_MS_MAX)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        # Without it a join is planned anew for every value that is bound: 35 µs of 38 for one decision.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # A log goes into the file when we say so, not with whichever connection closes last, and never vanishes.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if self._read_only:
            return connection
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        keeps = ctypes.c_int(1)
        connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(keeps))
        # Grow the file by whole chunks, so that its size, and with it the file system's journal, seldom changes.
        chunk = ctypes.c_int(FILE_CHUNK_BYTES)
        connection.file_control("main", apsw.SQLITE_FCNTL_CHUNK_SIZE, ctypes.addressof(chunk))
        mode = connection.execute("PRAGMA journal_mode").get
        if mode != "wal":
            raise StoreRefused(f"the file system refuses write-ahead logging (journal mode {mode})")
        return connection

    def begin(self) -> None:
        """Start a transaction; a broken store is mended first."""
        if self._read_only:
            raise StoreUnavailable(kind="ReadOnly")
        self._custody.refuse_taken_away()
        if self._is_broken:
            self._mend()
        if self.log_is_long.is_set():
            self.log_is_long.clear()
            self._run("PRAGMA wal_checkpoint(PASSIVE)")
        self._run("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the transaction durable, with its number where it wrote anything."""
        has_written = self._custody.seal(self._run, self._run_many)
        self._run("COMMIT")
        if has_written:
            # What was written into a file that nobody finds again counts for nothing.
            self._custody.committed()

    def is_in_place(self) -> bool:
        """Claim that the store's file and its log still stand where they were opened."""
        return self._custody.is_in_place()

    def rescue(self) -> str:
        """Save what was acknowledged from a file or a log that was taken away; says where it is, for a person."""
        return self._custody.rescue(self._connection)

    def rollback(self) -> None:
        """Drop the transaction, if it is still open; one of a connection that could not be made anew is gone."""
        self._custody.forget()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self._is_broken = True

    def _run(self, sql: str, bindings: Bindings = ()) -> list[Any]:
        try:
            return self._connection.execute(sql, bindings).fetchall()
        except apsw.Error as error:
            raise self._failed(error) from error
        except UnicodeDecodeError as error:
            raise Unreadable(NO_TEXT) from error

    def _run_many(self, name: str, many: Sequence[Bindings]) -> None:
        try:
            self._connection.executemany(STATEMENTS[name], many)
        except apsw.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: apsw.Error) -> StoreUnavailable:
        self._is_broken = True
        self.rollback()
        if not isinstance(error, apsw.BusyError):
            # Where this fails too, the next transaction tries again before it writes.
            with contextlib.suppress(StoreUnavailable):
                self._mend()
        return StoreUnavailable(kind=type(error).__name__)

    def _mend(self) -> None:
        """Start the log anew: move what is durable into the file, drop the rest, open again.

        A failed sync leaves pages that the kernel holds for clean though they may not be on disk, so no sync is
        tried a second time: the log is written into the file, truncated, and the connection made anew.
        """
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._connection.close(force=True)
        except apsw.ConnectionClosedError:
            pass
        except apsw.Error as error:
            raise StoreUnavailable(kind=type(error).__name__) from error
        try:
            self._connection = self._open()
            self._custody.attend(self._connection)
        except apsw.Error as error:
            raise StoreUnavailable(kind=type(error).__name__) from error
        self._is_broken = False

    def control(self) -> ControlRow:
        """Read the control row."""
        name = "control" if self._left() is None else "control_of_both"
        generation, last_number = self._run(STATEMENTS[name])[0]
        return ControlRow(generation, last_number, max(self.now_us(), Book.microsecond(last_number)))

    def fetch(self, wanted: Wanted, last_number: int) -> Book:
        """Fetch recorded answers, accounts and holds, set-wise."""
        if not wanted.accounts:
            # An array of none can't be bound.
            return Book({}, {}, {}, {}, last_number)
        answers = self.recorded(wanted.keys)
        before = self._left()
        first = before.fetch(wanted.accounts) if before is not None else {}
        found = self._run(STATEMENTS["accounts_wanted"], (apsw.carray(tuple(set(wanted.accounts))),))
        holds = {hold.number: hold for name in wanted.holds if (hold := self.hold(*name)) is not None}
        fetched = self._fetched = {row.account_id: row for row in map(rows.AccountRow._make, found)}
        accounts = first | {name: rows.account(row) for name, row in fetched.items()}
        return Book(accounts, answers, holds, self._events.taken(wanted.events), last_number)

    def write(self, book: Book) -> None:
        """Write a book's decisions, postings, keys, accounts and holds."""
        keys = [(key, decision.number) for key, decision in book.decisions]
        keys += [(key, posting.number) for key, posting in book.postings]
        seals = self._custody.seals
        with seals.told():
            sheet = rows.sheet(book if self._before is None else self._before.write(book, seals))
            if sheet.decisions:
                self._run_many("insert_decision", sheet.decisions)
            if sheet.postings:
                self._run_many("insert_posting", sheet.postings)
            if keys:
                self._run_many("insert_key", keys)
                seals.tell("idempotency_keys", (), keys)
            if sheet.created:
                self._run_many("insert_account", sheet.created)
                seals.tell("accounts", (), sheet.created)
            if sheet.changed:
                self._run_many("update_account", sheet.changed)
                seals.tell("accounts", [self._fetched[row.account_id] for row in sheet.changed], sheet.changed)
        if book.changed_holds:
            self._run_many("enter_hold", [book.holds[number] for number in book.changed_holds])
        if book.entitlements:
            self._run_many("enter_entitlement", book.entitlements)
        self.outbox.tell(book.notices, book.withdrawn, book.now_us)
        self._events.write(book, self._fetched, seals)

    def account(self, account_id: str) -> Account | None:
        """Find one account."""
        before = self._left()
        if before is not None and (account := before.account(account_id)) is not None:
            return account
        found = self._run(STATEMENTS["account"], (account_id,))
        return rows.account(rows.AccountRow._make(found[0])) if found else None

    def decision(self, number: int) -> Decided | None:
        """Find one decision."""
        before = self._left()
        if before is not None and (decided := before.decision(number)) is not None:
            return decided
        found = self._run(STATEMENTS["decision"], (number,))
        return rows.decided(rows.FoundDecision._make(found[0]), replayed=True) if found else None

    def account_decisions(self, account_id: str, before: int, count: int) -> list[Decided]:
        """Walk an account's decisions back, newest first, from before a number (0: from the newest)."""
        account = self.account(account_id)
        newest = account.last_decision if account else 0
        return walked(account_id, newest, before, count, self.decision, lambda decided: decided.decision)

    def looks_after(self, number: int, count: int) -> list[Look]:
        """Read what guards see of decisions after a number, oldest first."""
        return [look_at(decided) for decided in self._decisions("decisions_after", number, count)]

    def looks_before(self, number: int, count: int) -> list[Look]:
        """Read what guards see of decisions before a number, newest first."""
        return [look_at(decided) for decided in self._decisions("decisions_before", number, count)]

    def decisions_before(self, number: int, count: int) -> list[Decided]:
        """Read decisions from before a number, newest first."""
        return self._decisions("decisions_before", number, count)

    def _decisions(self, name: str, number: int, count: int) -> list[Decided]:
        before = self._left()
        first = before.decisions(name, number, count) if before is not None else []
        found = map(rows.FoundDecision._make, self._run(STATEMENTS[name], (number, count)))
        made = [rows.decided(one, replayed=True) for one in found]
        return merged(first, made, count, _number, is_descending=name == "decisions_before") if first else made

    def has_key(self, key: str) -> bool:
        """Claim that a key stands for a write of any service."""
        return bool(self._run(STATEMENTS["has_key"], (key,)))

    def enter_key(self, key: str, now_us: int) -> None:
        """Keep a new key of a write beside decisions, made at a time (microseconds UTC)."""
        self._run(STATEMENTS["insert_key"], (key, beside(now_us)))

    def purge(self, before_us: int, count: int) -> int:
        """Forget keys of before a time (microseconds UTC), `count` of decisions and of others; fewer: none is left."""
        within = (before_us << NUMBER_SHIFT, count)
        found = self._run(STATEMENTS["keys_expired"], within)
        expired = [(number, records.key_of_record(record, is_posting=bool(flag))) for number, record, flag in found]
        if self._before is not None:
            expired = sorted(expired + self._before.keys_expired(*within))[:count]
        if expired:
            self._run_many("delete_key", [(key,) for _, key in expired])
            newest, _ = expired[-1]
            self._run(STATEMENTS["mark_purged"], (newest,))
        other = self._run(STATEMENTS["delete_keys_beside"], (beside(before_us), count))
        return count if len(other) == count else len(expired)

    def purge_events(self, before_us: int, after_key: str, count: int) -> str:
        """Forget what occurred before a time (microseconds UTC) among the next events; gives where to go on, or ""."""
        return self._events.purge(before_us, after_key, count)

    def hold_still(self) -> None:
        """See the store as it is now, until told again; for readers from end to end."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        self._run("BEGIN")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See the store as it is now until the end; of many reads each would take and give back a lock of its own."""
        self._run("BEGIN")
        try:
            yield
        finally:
            self.rollback()

    def copy_to(self, path: Path) -> None:
        """Write a copy of the store as it is now into a new file (SQLite's online backup), closed in order."""
        try:
            copy(self._connection, path)
        except apsw.Error as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Move the log into the file where that can be done, close it, and give up the lock."""
        try:
            self.rollback()
            if not self._is_broken:
                self._custody.end(self._connection)
            self._connection.close(force=True)
        finally:
            self._custody.close()


def _number(decided: Decided) -> int:
    return decided.decision.number
