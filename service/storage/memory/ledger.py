"""A store in memory read from end to end, for verification and replay.

Promises the same transaction as the rest of the store, whose records it reads.
"""

from collections.abc import Iterator

from service.domain.account import Account
from service.domain.decision import Decided
from service.domain.draw import Hold, HoldState, Posted
from service.domain.policy_life import PolicyChange
from service.engine.ports.ledger import Sealed, SealedPosting
from service.storage import records, rows
from service.storage.memory.cases import MemoryCases
from service.storage.memory.clock import MemoryClock
from service.storage.memory.playbooks import MemoryPlaybooks
from service.storage.memory.runs import MemoryRuns


class MemoryLedger:
    """The reads of a ledger."""

    playbooks: MemoryPlaybooks
    cases: MemoryCases
    clock: MemoryClock
    runs: MemoryRuns
    _accounts: dict[str, Account]
    _decisions: dict[int, Decided]
    _postings: dict[int, Posted]
    _holds: dict[int, Hold]
    _links: dict[int, bytes]
    _keys: dict[str, int]
    _changes: dict[str, PolicyChange]

    def accounts(self) -> Iterator[Account]:
        """Read every account."""
        return iter(sorted(self._accounts.values(), key=lambda account: account.account_id))

    def sealed(self, number: int) -> Sealed | None:
        """Find one decision with the verdict on its seal."""
        decided = self._decisions.get(number)
        if decided is None:
            return None
        before = self._links.get(decided.decision.previous, b"")
        decision = decided.decision
        link = rows.chain_after(before, records.decision_record(decision, records.facts_of(decision.profile, {}).hash))
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
        link = rows.chain_after(before, records.posting_record(posted.posting))
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
