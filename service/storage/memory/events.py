"""Behaviour events in memory.

Promises the same transaction as the rest of the store, whose records it reads.
"""

from collections.abc import Sequence

from service.domain.account import Account
from service.domain.book import Book


class MemoryEvents:
    """The part of `MemoryStore` that remembers events, and what they left of accounts."""

    _accounts: dict[str, Account]
    _events: dict[str, tuple[bytes, int]]

    def _taken(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Find which events were taken before: fingerprints by key."""
        return {key: self._events[key][0] for key in keys if key in self._events}

    def _take_over_events(self, book: Book) -> None:
        """Take over a book's events and what they left of their accounts."""
        for name in book.behaved - book.changed:
            self._accounts[name] = self._accounts[name]._replace(behaviour=book.accounts[name].behaviour)
        for event in book.events:
            self._events[event.key] = event.fingerprint, event.event.occurred_us

    def purge_events(self, before_us: int, after_key: str, count: int) -> str:
        """Forget what occurred before a time (microseconds UTC) among the next events; gives where to go on, or ""."""
        looked_at = sorted(key for key in self._events if key > after_key)[:count]
        for key in looked_at:
            if self._events[key][1] < before_us:
                del self._events[key]
        return looked_at[-1] if len(looked_at) == count else ""
