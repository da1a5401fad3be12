"""Postings and holds in memory, and what a key stands for.

Promises the same transaction as the rest of the store, whose records it reads.
"""

from collections.abc import Sequence

from service.domain.book import ELSEWHERE, Elsewhere, Recorded
from service.domain.decision import Decided
from service.domain.draw import Hold, Posted


class MemoryDraws:
    """The part of `MemoryStore` that reads the log of postings."""

    _keys: dict[str, int]
    _decisions: dict[int, Decided]
    _postings: dict[int, Posted]
    _holds: dict[int, Hold]

    def recorded(self, keys: Sequence[str]) -> dict[str, Recorded | Elsewhere]:
        """Give what keys (caller and request id) stand for, those that stand for anything."""
        return {key: self._recorded(self._keys[key]) for key in keys if key in self._keys}

    def _recorded(self, number: int) -> Recorded | Elsewhere:
        if number < 0:
            return ELSEWHERE
        return self._postings[number] if number in self._postings else self._decisions[number]

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
