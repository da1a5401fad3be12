"""A queue in which callers take turns, for what is answered one by one and may take long.

Promises that between two calls of a caller each other caller has one answered at most, and that whoever fills the queue
gives way to those who have less in it. Within a caller, and between criticalities, all is as in the plain queue.
"""

from collections import OrderedDict, deque

from service.domain.decision import Criticality
from service.domain.errors import Overloaded
from service.gateway.admission import Queue, Waiting


class Turns:
    """Calls of one criticality, in turns by caller and in order within a caller."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[Waiting]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Waiting:
        """Give the call whose turn is next, the only one that can be looked at."""
        if place or not self._of:
            raise IndexError(place)
        return next(iter(self._of.values()))[0]

    def append(self, waiting: Waiting) -> None:
        """Put a call at the end of its caller's."""
        self._of.setdefault(waiting.call.caller, deque()).append(waiting)
        self._count += 1

    def popleft(self) -> Waiting:
        """Take the call whose turn is next; its caller's next one comes after everybody else's."""
        caller = next(iter(self._of))
        waiting = self._of[caller].popleft()
        self._count -= 1
        if self._of[caller]:
            self._of.move_to_end(caller)
        else:
            del self._of[caller]
        return waiting

    def pop(self) -> Waiting:
        """Take the newest call of the caller who has the most."""
        caller = max(self._of, key=lambda name: len(self._of[name]))
        waiting = self._of[caller].pop()
        self._count -= 1
        if not self._of[caller]:
            del self._of[caller]
        return waiting

    def oldest_of(self, caller: str) -> Waiting | None:
        """Give a caller's call that has been here the longest, if there is one."""
        own = self._of.get(caller)
        return own[0] if own else None

    def has_more_than(self, caller: str) -> bool:
        """Claim that some caller has at least two calls more in the line than this one."""
        own = len(self._of.get(caller, ()))
        return any(len(others) > own + 1 for others in self._of.values())

    def drop_gone(self) -> int:
        """Drop each caller's first calls whose callers have gone; gives how many bytes that were."""
        size = 0
        for caller in list(self._of):
            own = self._of[caller]
            while own and own[0].answer.done():
                size += len(own.popleft().call.body)
                self._count -= 1
            if not own:
                del self._of[caller]
        return size


class FairQueue(Queue):
    """Calls that wait for a process that takes them one by one; callers take turns."""

    def __init__(self, calls_max: int, bytes_max: int, wait_ms_max: int) -> None:
        self._turns = tuple(Turns() for _ in Criticality)
        lines = iter(self._turns)
        super().__init__(calls_max, bytes_max, wait_ms_max, line=lambda: next(lines))

    def admit(self, waiting: Waiting, criticality: Criticality) -> Waiting | None:
        """Take a call in; gives the one that was put out for it, if any. Raises Overloaded."""
        try:
            return super().admit(waiting, criticality)
        except Overloaded:
            line, caller = self._turns[criticality], waiting.call.caller
            if self._has_waited_too_long(waiting) or not line.has_more_than(caller):
                raise
            put_out = line.pop()
            bytes_after = self._bytes - len(put_out.call.body) + len(waiting.call.body)
            if bytes_after > self._bytes_max:
                line.append(put_out)
                raise
            line.append(waiting)
            self._bytes = bytes_after
            return put_out

    def _is_full(self, waiting: Waiting) -> bool:
        for line in self._turns:
            self._bytes -= line.drop_gone()
        if len(self) >= self._calls_max or self._bytes + len(waiting.call.body) > self._bytes_max:
            return True
        return self._has_waited_too_long(waiting)

    def _has_waited_too_long(self, waiting: Waiting) -> bool:
        """Claim that the caller has one here for too long; how long others wait for their own is no matter of his."""
        own = [line.oldest_of(waiting.call.caller) for line in self._turns]
        return any(one is not None and waiting.since_us - one.since_us > self._wait_us_max for one in own)
