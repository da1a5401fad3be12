"""The engine, broken on purpose: for each promise at least one way, and the simulation must see it.

Promises that a mutation which no seed catches fails: a check that can't fail proves nothing.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

from rich.console import Console
from rich.table import Table

from service.domain.account import Account
from service.domain.book import Book, Elsewhere, key_of
from service.domain.clock import ConfirmedTime, Reading
from service.domain.draw import Posted
from service.domain.draw import post as real_post
from service.domain.errors import StoreUnavailable
from service.engine import clock
from service.engine import execute as executing
from service.engine.control import Control
from service.engine.ports.store import ControlRow, Store
from service.storage import rows
from service.storage.sqlite import store as sqlite
from service.storage.sqlite.store import SqliteStore
from tests.simulation.disk import simulated_disk
from tests.simulation.world import simulate, template_store

Patch = Callable[[], Any]


class Mutation(NamedTuple):
    """One way to break the engine, and the promise that it breaks."""

    name: str
    promise: str
    patch: Patch


def _no_sync() -> Any:
    pragmas = tuple(one.replace("synchronous = FULL", "synchronous = OFF") for one in sqlite._PRAGMAS)
    return mock.patch.object(sqlite, "_PRAGMAS", pragmas)


def _forgets_keys() -> Any:
    real = SqliteStore._run_many

    def run_many(self: SqliteStore, name: str, many: Sequence[Sequence[Any]]) -> None:
        if name != "insert_key":
            real(self, name, many)

    return mock.patch.object(SqliteStore, "_run_many", run_many)


def _keys_after_commit() -> Any:
    """Write keys in a transaction of their own, after the one of the decisions."""
    real_many, real_commit = SqliteStore._run_many, SqliteStore.commit
    owed: list[tuple[Any, ...]] = []

    def run_many(self: SqliteStore, name: str, many: Sequence[Sequence[Any]]) -> None:
        if name == "insert_key":
            owed.extend(tuple(one) for one in many)
        else:
            real_many(self, name, many)

    def commit(self: SqliteStore) -> None:
        real_commit(self)
        keys, owed[:] = list(owed), []
        if keys:
            self._run("BEGIN IMMEDIATE")
            real_many(self, "insert_key", keys)
            real_commit(self)

    return mock.patch.multiple(SqliteStore, _run_many=run_many, commit=commit)


def _answers_before_commit() -> Any:
    """Give answers first and commit at the next batch: what a crash in between loses was acknowledged."""
    real_begin = SqliteStore.begin

    def begin(self: SqliteStore) -> None:
        if self._connection.in_transaction:
            self._run("COMMIT")
        real_begin(self)

    return mock.patch.multiple(SqliteStore, begin=begin, commit=lambda _: None)


def _takes_failed_commits_for_good() -> Any:
    real = SqliteStore.commit

    def commit(self: SqliteStore) -> None:
        try:
            real(self)
        except StoreUnavailable:
            return

    return mock.patch.object(SqliteStore, "commit", commit)


def _checks_then_acts() -> Any:
    """Judge every draw of a batch by the account as it was before the batch."""
    real_fetch = SqliteStore.fetch
    seen: dict[str, Account] = {}

    def fetch(self: SqliteStore, *arguments: Any) -> Book:
        book = real_fetch(self, *arguments)
        seen.clear()
        seen.update(book.accounts)
        return book

    def post(command: Any, account: Account, *rest: Any) -> Any:
        stale = seen.get(account.account_id, account)
        return real_post(command, stale, *rest)

    return _both(mock.patch.object(SqliteStore, "fetch", fetch), mock.patch.object(executing, "post", post))


def _keeps_the_old_mode() -> Any:
    """Look at the mode only once in a while, as a cache would."""
    real = Control.refresh
    looks = {"left": 0}

    def refresh(self: Control, store: Store) -> ControlRow:
        looks["left"] -= 1
        if looks["left"] <= 0 or not self.products:
            looks["left"] = 12
            return real(self, store)
        return store.control()

    return mock.patch.object(Control, "refresh", refresh)


def _takes_any_body_for_a_key() -> Any:
    real = executing.answer

    def answer(command: Any, book: Book, *rest: Any) -> Any:
        recorded = book.answers.get(key_of(command.caller, command.request_id))
        if recorded is not None and not isinstance(recorded, Elsewhere):
            record = recorded.posting if isinstance(recorded, Posted) else recorded.decision
            command = command._replace(fingerprint=record.fingerprint)
        return real(command, book, *rest)

    return mock.patch.object(executing, "answer", answer)


def _breaks_the_chain() -> Any:
    """Link each record to nothing, as if it were its account's first."""
    real = rows.chain_after
    return mock.patch.object(rows, "_links", lambda sealed, _: [real(b"", row) for _, row in sealed])


def _loses_one_of_a_batch() -> Any:
    """A race that loses a record under concurrency: of a batch with several decisions the last is not written."""
    real = SqliteStore.write

    def write(self: SqliteStore, book: Book) -> None:
        if len(book.decisions) > 1:
            book.decisions.pop()
        real(self, book)

    return mock.patch.object(SqliteStore, "write", write)


def _captures_without_the_hold() -> Any:
    """Enter what a capture owes twice where a hold is captured in parts."""

    def post(command: Any, account: Account, hold: Any, *rest: Any) -> Any:
        after, posting = real_post(command, account, hold, *rest)
        if hold is not None and posting.hold is not None and posting.hold.captured_minor > posting.amount_minor:
            after = after._replace(outstanding_minor=after.outstanding_minor + posting.amount_minor)
        return after, posting

    return mock.patch.object(executing, "post", post)


def _believes_the_machines_clock() -> Any:
    """Take the machine's clock for the time, and only never go back, as the store did once."""

    def advanced(before: ConfirmedTime, reading: Reading) -> ConfirmedTime:
        return before._replace(time_us=max(before.time_us, reading.wall_us))

    return mock.patch.object(clock, "advanced", advanced)


@contextmanager
def _both(*patches: Any) -> Iterator[None]:
    with patches[0], patches[1]:
        yield


MUTATIONS: Final = (
    Mutation("skips the sync", "durable before the caller hears yes", _no_sync),
    Mutation("answers before the commit", "durable before the caller hears yes", _answers_before_commit),
    Mutation("takes a failed commit for good", "durable before the caller hears yes", _takes_failed_commits_for_good),
    Mutation("forgets keys", "each write once", _forgets_keys),
    Mutation("writes keys after the commit", "each write once", _keys_after_commit),
    Mutation("takes any body for a key", "a key stands for one request", _takes_any_body_for_a_key),
    Mutation("checks, then acts on the limit", "exposure within the limit", _checks_then_acts),
    Mutation("captures twice what was held", "money is conserved", _captures_without_the_hold),
    Mutation("keeps the old mode for a while", "no old mode after the acknowledgement", _keeps_the_old_mode),
    Mutation("loses one of a batch", "no lost record under concurrency", _loses_one_of_a_batch),
    Mutation("believes the machine's clock", "no step purges, lapses or stops anything", _believes_the_machines_clock),
    Mutation("breaks the chain", "every record is sealed", _breaks_the_chain),
)


class Caught(NamedTuple):
    """By which seed, after how many, a mutation was caught, and how it showed."""

    seeds: int
    how: str


def caught(mutation: Mutation, seeds: int) -> Caught | None:
    """Run seeds until one catches a mutation; nothing where none does."""
    with tempfile.TemporaryDirectory() as name, simulated_disk() as drive:
        template = template_store(Path(name))
        with mutation.patch():
            for seed in range(seeds):
                outcome = simulate(seed, drive, template)
                if outcome.broken:
                    return Caught(seed + 1, outcome.broken)
    return None


def table(seeds: int) -> int:
    """Print which mutations are caught; gives 1 where one is not."""
    found = Table(title="The engine, broken on purpose")
    for column in ("mutation", "promise", "seeds", "how it showed"):
        found.add_column(column, justify="right" if column == "seeds" else "left")
    missed = 0
    for mutation in MUTATIONS:
        outcome = caught(mutation, seeds)
        missed += outcome is None
        shown = (str(outcome.seeds), outcome.how) if outcome is not None else (f"none of {seeds}", "NOT CAUGHT")
        found.add_row(mutation.name, mutation.promise, *shown)
    Console().print(found)
    return 1 if missed else 0
