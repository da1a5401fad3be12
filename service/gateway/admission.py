"""Admission: a bounded queue that sheds what matters least, before it costs anything.

Promises that no more than so many calls wait, that new ones are refused once the oldest has waited too long, and that
a less critical call is shed before a more critical one: batch, then interactive, draws last.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from service.domain.decision import Criticality
from service.domain.errors import Overloaded
from service.engine.ports import Answer, Call


class Waiting(NamedTuple):
    """A call in the queue, the future of its answer, and since when it waits (monotonic, microseconds)."""

    call: Call
    answer: asyncio.Future[Answer]
    since_us: int


class Queue:
    """Calls that wait for the engine, the more critical first."""

    def __init__(self, calls_max: int, bytes_max: int, wait_ms_max: int) -> None:
        self._calls_max = calls_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._wait_us_max = wait_ms_max * 1_000
        self._lines: tuple[deque[Waiting], ...] = tuple(deque() for _ in Criticality)

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines)

    def admit(self, waiting: Waiting, criticality: Criticality) -> Waiting | None:
        """Take a call in; gives the less critical one that was put out for it, if any. Raises Overloaded."""
        put_out: Waiting | None = None
        if self._is_full(waiting):
            least = next((line for line in reversed(self._lines[criticality + 1 :]) if line), None)
            if least is None:
                raise self.refusal(criticality)
            put_out = least.pop()
            self._bytes -= len(put_out.call.body)
        self._lines[criticality].append(waiting)
        self._bytes += len(waiting.call.body)
        return put_out

    def _is_full(self, waiting: Waiting) -> bool:
        if len(self) >= self._calls_max or self._bytes + len(waiting.call.body) > self._bytes_max:
            return True
        for line in self._lines:
            # Those whose callers have gone wait for nothing, and must not shed others.
            while line and line[0].answer.done():
                self._bytes -= len(line.popleft().call.body)
            if line and waiting.since_us - line[0].since_us > self._wait_us_max:
                return True
        return False

    def refusal(self, criticality: Criticality) -> Overloaded:
        """Give the error for a call that is shed."""
        return Overloaded(criticality.name.lower(), self._wait_us_max // 1_000)

    def take(self, calls_max: int, bytes_max: int) -> list[Waiting]:
        """Take calls out, the critical first, within a count and a size; at least one where one waits."""
        taken: list[Waiting] = []
        size = 0
        for line in self._lines:
            while line and len(taken) < calls_max:
                length = len(line[0].call.body)
                # One whose caller has gone is dropped.
                is_wanted = not line[0].answer.done()
                if is_wanted and taken and size + length > bytes_max:
                    return taken
                waiting = line.popleft()
                self._bytes -= length
                if is_wanted:
                    size += length
                    taken.append(waiting)
        return taken

    def drain(self) -> list[Waiting]:
        """Take everything out."""
        return self.take(len(self), 1 << 62)
