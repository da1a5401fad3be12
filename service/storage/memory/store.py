"""The store in memory: for tests and for simulations.

Promises the behaviour of the durable stores, by the same conformance suite, as long as the process lives.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, takewhile
from typing import Protocol

from service.domain.account import Account
from service.domain.book import NUMBER_SHIFT, Book, Wanted, beside, key_of
from service.domain.decision import Decided, Decision
from service.domain.draw import Hold, Posted, Posting
from service.domain.policy_life import PolicyChange, PolicyRecord
from service.domain.watch import Look, look_at
from service.engine.ports.store import ControlRow
from service.storage import rows
from service.storage.memory.cases import MemoryCases
from service.storage.memory.clock import MemoryClock
from service.storage.memory.draws import MemoryDraws
from service.storage.memory.events import MemoryEvents
from service.storage.memory.ledger import MemoryLedger
from service.storage.memory.outbox import MemoryOutbox
from service.storage.memory.playbooks import MemoryPlaybooks
from service.storage.memory.policies import MemoryPolicies
from service.storage.memory.runs import MemoryRuns


class Part(Protocol):
    """A part of the store that takes part in its transactions."""

    def snapshot(self) -> dict[str, object]: ...  # noqa: D102 - the class docstring covers it.
    def restore(self, snapshot: dict[str, object]) -> None: ...  # noqa: D102 - the same.


class MemoryStore(MemoryDraws, MemoryEvents, MemoryPolicies, MemoryLedger):
    """A store of plain dictionaries; a transaction copies what it would change."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        """Make an empty store; `now_us` is its clock (microseconds since the epoch UTC)."""
        self.now_us = now_us
        self.playbooks = MemoryPlaybooks()
        self.outbox = MemoryOutbox()
        self.cases = MemoryCases()
        self.clock = MemoryClock()
        self._accounts: dict[str, Account] = {}
        self._decisions: dict[int, Decided] = {}
        self.runs = MemoryRuns(self._accounts, self._decisions)
        self._parts: tuple[Part, ...] = self.playbooks, self.outbox, self.cases, self.clock, self.runs
        self._parts_before: list[dict[str, object]] = []
        self._postings: dict[int, Posted] = {}
        self._holds: dict[int, Hold] = {}
        self._links: dict[int, bytes] = {}
        self._keys: dict[str, int] = {}
        self._events: dict[str, tuple[bytes, int]] = {}
        self._policies: dict[str, PolicyRecord] = {}
        self._changes: dict[str, PolicyChange] = {}
        self._pending_keys: dict[str, int] = {}
        self._generation = 0
        self._purged = 0
        self._pending: list[Book] = []
        self._pending_policies: list[tuple[Sequence[PolicyRecord], PolicyChange]] = []

    def begin(self) -> None:
        """Start a transaction."""
        assert not self._pending, "one transaction at a time"
        self._parts_before = [part.snapshot() for part in self._parts]

    def commit(self) -> None:
        """Take over what the transaction wrote."""
        for book in self._pending:
            self._take_over(book)
        for versions, change in self._pending_policies:
            self._policies.update({record.version: record for record in reversed(versions)})
            self._changes[change.key] = change
            self._generation += 1
        self._keys.update(self._pending_keys)
        self._parts_before = []
        self.rollback()

    def rollback(self) -> None:
        """Drop what the transaction wrote."""
        # After a commit there is nothing to go back to.
        for part, before in zip(self._parts, self._parts_before, strict=False):
            part.restore(before)
        self._pending.clear()
        self._pending_policies.clear()
        self._pending_keys.clear()

    def _take_over(self, book: Book) -> None:
        sheet = rows.sheet(book)
        for written in (*sheet.created, *sheet.changed):
            self._accounts[written.account_id] = rows.account(written)
        for (key, decision), row in zip(book.decisions, sheet.decisions, strict=True):
            account = book.accounts[decision.account_id]
            self._links[decision.number] = row.chain
            self._decisions[decision.number] = Decided(decision, account.product, account.currency, replayed=True)
            self._keys[key] = decision.number
        for (key, posting), posted in zip(book.postings, sheet.postings, strict=True):
            account = book.accounts[posting.account_id]
            self._links[posting.number] = posted.chain
            self._postings[posting.number] = Posted(posting, account.product, account.currency, replayed=True)
            self._keys[key] = posting.number
        self._take_over_events(book)
        self._holds.update({number: book.holds[number] for number in book.changed_holds})

    def control(self) -> ControlRow:
        """Read the control row."""
        generation = self._generation + self.playbooks.generation
        last_number = max(next(reversed(self._decisions), 0), next(reversed(self._postings), 0))
        return ControlRow(generation, last_number, max(self.now_us(), Book.microsecond(last_number)))

    def fetch(self, wanted: Wanted, last_number: int) -> Book:
        """Fetch recorded answers, accounts and holds."""
        answers = self.recorded(wanted.keys)
        accounts = {name: self._accounts[name] for name in wanted.accounts if name in self._accounts}
        holds = {hold.number: hold for name in wanted.holds if (hold := self.hold(*name)) is not None}
        return Book(accounts, answers, holds, self._taken(wanted.events), last_number)

    def write(self, book: Book) -> None:
        """Write a book's decisions, postings, keys, accounts, holds and entitlements."""
        self._pending.append(book)
        self.runs.settle(book.entitlements)
        self.outbox.tell(book.notices, book.withdrawn, book.now_us)

    def account(self, account_id: str) -> Account | None:
        """Find one account."""
        return self._accounts.get(account_id)

    def decision(self, number: int) -> Decided | None:
        """Find one decision."""
        return self._decisions.get(number)

    def account_decisions(self, account_id: str, before: int, count: int) -> list[Decided]:
        """Give an account's decisions, newest first, from before a number (0: from the newest)."""
        own = [decided for decided in self._decisions.values() if decided.decision.account_id == account_id]
        if before and not any(decided.decision.number == before for decided in own):
            return []
        newest_first = sorted(own, key=lambda decided: -decided.decision.number)
        return [decided for decided in newest_first if not before or decided.decision.number < before][:count]

    def looks_after(self, number: int, count: int) -> list[Look]:
        """Read what guards see of decisions after a number, oldest first."""
        later = list(takewhile(lambda found: found > number, reversed(self._decisions)))
        return [look_at(self._decisions[found]) for found in reversed(later)][:count]

    def looks_before(self, number: int, count: int) -> list[Look]:
        """Read what guards see of decisions before a number, newest first."""
        return [look_at(decided) for decided in self.decisions_before(number, count)]

    def decisions_before(self, number: int, count: int) -> list[Decided]:
        """Read decisions from before a number, newest first."""
        earlier = (found for found in reversed(self._decisions) if found < number)
        return [self._decisions[found] for found in islice(earlier, count)]

    def has_key(self, key: str) -> bool:
        """Claim that a key stands for a write of any service."""
        return key in self._keys

    def enter_key(self, key: str, now_us: int) -> None:
        """Keep a new key of a write beside decisions, made at a time (microseconds UTC)."""
        assert key not in self._keys, "a key stands for one write"
        self._pending_keys[key] = beside(now_us)

    def purge(self, before_us: int, count: int) -> int:
        """Forget keys of before a time (microseconds UTC), at most `count` of decisions and as many of other writes."""
        bound = before_us << NUMBER_SHIFT
        logged: dict[int, Decision | Posting] = {number: one.decision for number, one in self._decisions.items()}
        logged |= {number: one.posting for number, one in self._postings.items()}
        expired = sorted(number for number in logged if self._purged < number < bound)[:count]
        for number in expired:
            self._keys.pop(key_of(logged[number].caller, logged[number].request_id), None)
            self._purged = number
        others = sorted((-number, key) for key, number in self._keys.items() if beside(before_us) < number < 0)[:count]
        for _, key in others:
            del self._keys[key]
        return count if len(others) == count else len(expired)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Do nothing: nobody writes beside a reader of memory."""
        yield

    def close(self) -> None:
        """Do nothing: memory has no file."""
