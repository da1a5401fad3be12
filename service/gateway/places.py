"""Places for callers that watch: bounded in all, bounded for each, and some that nobody but on-call may take.

Promises that whoever watches a hundred times over locks out himself alone, and that on-call finds a place whatever
all others hold.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from service.domain.errors import Overloaded

RETRY_MS: Final = 1_000


class Places:
    """So many places, of which a caller takes at most some and others than on-call leave some free."""

    def __init__(self, places_max: int, places_a_caller_max: int, reserved: int) -> None:
        self._places_max = places_max
        self._places_a_caller_max = places_a_caller_max
        self._reserved = reserved
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, caller: str, *, is_on_call: bool) -> Iterator[None]:
        """Hold a place for a caller; raises Overloaded."""
        most = self._places_max if is_on_call else self._places_max - self._reserved
        if self._taken.total() >= most or self._taken[caller] >= self._places_a_caller_max:
            raise Overloaded("watcher", RETRY_MS)
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]
