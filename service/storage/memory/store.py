"""The store in memory: for tests and for simulations.

Promises the behaviour of the durable stores, by the same conformance suite, as long as the process lives.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, takewhile
from typing import Protocol

from service.domain.account import Account
from service.domain.book import ELSEWHERE, NUMBER_SHIFT, Book, Elsewhere, Recorded, Wanted, beside, key_of
from service.domain.decision import Decided, Decision
from service.domain.draw import Hold, HoldState, Posted, Posting
from service.domain.policy_life import PolicyChange, PolicyRecord
from service.domain.watch import Look, look_at
from service.engine.ports.ledger import Sealed, SealedPosting
from service.engine.ports.store import ControlRow
from service.storage import rows
from service.storage.memory.cases import MemoryCases
from service.storage.memory.clock import MemoryClock
from service.storage.memory.outbox import MemoryOutbox
from service.storage.memory.playbooks import MemoryPlaybooks
from service.storage.memory.runs import MemoryRuns


class Part(Protocol):
    """A part of the store that takes part in its transactions."""

    def snapshot(self) -> dict[str, object]: ...  # noqa: D102 - the class docstring covers it.
    def restore(self, snapshot: dict[str, object]) -> None: ...  # noqa: D102 - the same.


class MemoryStore:
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
        for records, change in self._pending_policies:
            self._policies.update({record.version: record for record in reversed(records)})
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
        for row in (*sheet.created, *sheet.changed):
            self._accounts[row[0]] = rows.account(row)
        for (key, decision), row in zip(book.decisions, sheet.decisions, strict=True):
            account = book.accounts[decision.account_id]
            self._links[decision.number] = row[-1]
            self._decisions[decision.number] = Decided(decision, account.product, account.currency, replayed=True)
            self._keys[key] = decision.number
        for (key, posting), row in zip(book.postings, sheet.postings, strict=True):
            account = book.accounts[posting.account_id]
            self._links[posting.number] = row[-1]
            self._postings[posting.number] = Posted(posting, account.product, account.currency, replayed=True)
            self._keys[key] = posting.number
        for name in book.behaved - book.changed:
            self._accounts[name] = self._accounts[name]._replace(behaviour=book.accounts[name].behaviour)
        for event in book.events:
            self._events[event.key] = event.fingerprint, event.event.occurred_us
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
        taken = {key: self._events[key][0] for key in wanted.events if key in self._events}
        return Book(accounts, answers, holds, taken, last_number)

    def recorded(self, keys: Sequence[str]) -> dict[str, Recorded | Elsewhere]:
        """Give what keys (caller and request id) stand for, those that stand for anything."""
        return {key: self._recorded(self._keys[key]) for key in keys if key in self._keys}

    def _recorded(self, number: int) -> Recorded | Elsewhere:
        if number < 0:
            return ELSEWHERE
        return self._postings[number] if number in self._postings else self._decisions[number]

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

    def hold(self, account_id: str, number: int) -> Hold | None:
        """Find one hold."""
        hold = self._holds.get(number)
        return hold if hold is not None and hold.account_id == account_id else None

    def account_holds(self, account_id: str, before: int, count: int) -> list[Hold]:
        """Give an account's holds as they are stored, newest first, from before a number (0: from the newest)."""
        own = [hold for hold in self._holds.values() if hold.account_id == account_id]
        newest_first = sorted(own, key=lambda hold: -hold.number)
        return [hold for hold in newest_first if not before or hold.number < before][:count]

    def posting(self, number: int) -> Posted | None:
        """Find one posting."""
        return self._postings.get(number)

    def account_postings(self, account_id: str, before: int, count: int) -> list[Posted]:
        """Give an account's postings, newest first, from before a number (0: from the newest)."""
        own = [posted for posted in self._postings.values() if posted.posting.account_id == account_id]
        if before and not any(posted.posting.number == before for posted in own):
            return []
        return [posted for posted in reversed(own) if not before or posted.posting.number < before][:count]

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

    def active_versions(self) -> dict[str, str]:
        """Read which version decides for each product."""
        return {record.product: record.version for record in self._policies.values() if record.state.name == "ACTIVE"}

    def policy(self, version: str) -> PolicyRecord | None:
        """Find one policy version."""
        return self._policies.get(version)

    def policies(self) -> list[PolicyRecord]:
        """Read all versions, newest first."""
        return list(reversed(self._policies.values()))

    def policy_switches(self, product: str) -> list[PolicyChange]:
        """Read a product's promotions and roll-backs, oldest first."""
        return [one for one in self._changes.values() if one.product == product and one.action != "publish"]

    def policy_change(self, key: str) -> PolicyChange | None:
        """Find the change that a key stands for."""
        return self._changes.get(key)

    def write_policies(self, records: Sequence[PolicyRecord], change: PolicyChange) -> PolicyChange:
        """Enter versions or their new states, and the change; gives the change as it is entered."""
        change = change._replace(sequence=len(self._changes) + len(self._pending_policies) + 1)
        self._pending_policies.append((records, change))
        return change

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

    def purge_events(self, before_us: int, after_key: str, count: int) -> str:
        """Forget what occurred before a time (microseconds UTC) among the next events; gives where to go on, or ""."""
        looked_at = sorted(key for key in self._events if key > after_key)[:count]
        for key in looked_at:
            if self._events[key][1] < before_us:
                del self._events[key]
        return looked_at[-1] if len(looked_at) == count else ""

    def accounts(self) -> Iterator[Account]:
        """Read every account."""
        return iter(sorted(self._accounts.values(), key=lambda account: account.account_id))

    def sealed(self, number: int) -> Sealed | None:
        """Find one decision with the verdict on its seal."""
        decided = self._decisions.get(number)
        if decided is None:
            return None
        before = self._links.get(decided.decision.previous, b"")
        link = rows.decision_link(before, rows.decision_row(decided.decision, {}))
        return Sealed(decided, link == self._links[number], self._links[number])

    def sealed_all(self) -> Iterator[Sealed]:
        """Read every decision, oldest first."""
        found = (self.sealed(number) for number in sorted(self._decisions))
        return (sealed for sealed in found if sealed)

    def decision_count(self) -> int:
        """Count the decisions."""
        return len(self._decisions)

    def keys_without_decision(self) -> int:
        """Count keys whose decision, posting or change is missing."""
        return sum(not self._is_founded(key, number) for key, number in self._keys.items())

    def _is_founded(self, key: str, number: int) -> bool:
        if number >= 0:
            return number in self._decisions or number in self._postings
        kept = (
            self._changes.get(key), self.playbooks.change(key), self.cases.voice(key), self.cases.change(key),
            self.clock.change(key), self.playbooks.baseline(key), self.runs.act(key),
        )  # fmt: skip
        return any(change is not None for change in kept)

    def sealed_posting(self, number: int) -> SealedPosting | None:
        """Find one posting with the verdict on its seal."""
        posted = self._postings.get(number)
        if posted is None:
            return None
        before = self._links.get(posted.posting.previous, b"")
        link = rows.posting_link(before, rows.posting_row(posted.posting))
        return SealedPosting(posted.posting, link == self._links[number], self._links[number])

    def posting_count(self) -> int:
        """Count the postings."""
        return len(self._postings)

    def holds_open(self, account_id: str) -> list[Hold]:
        """Read an account's holds that nobody closed, expired ones included."""
        own = (hold for hold in self._holds.values() if hold.account_id == account_id)
        return [hold for hold in own if hold.state is HoldState.OPEN]

    def damage(self) -> list[str]:
        """Give nothing: memory has no file."""
        return []

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Do nothing: nobody writes beside a reader of memory."""
        yield

    def close(self) -> None:
        """Do nothing: memory has no file."""
