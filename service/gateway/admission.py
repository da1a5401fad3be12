"""Admission: a bounded queue that sheds what matters least, before it costs anything, and the pace of what it lets in.

Promises that no more than so many calls wait, that new ones are refused once the oldest has waited too long, and that
a less critical call is shed before a more critical one: batch, then interactive, draws last. How many may come in is
no fixed number: while calls keep waiting, only as many are let in as are answered (decision 18).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from service.domain.decision import BATCH, DRAW, Criticality
from service.domain.errors import Overloaded
from service.engine.ports.codec import Answer, Call


class Waiting(NamedTuple):
    """A call in the queue, the future of its answer, and since when it waits (monotonic, microseconds)."""

    call: Call
    answer: asyncio.Future[Answer]
    since_us: int


class CallLine(Protocol):
    """Calls of one criticality in the order in which they are taken; only the next one can be looked at, at 0."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> Waiting: ...
    def append(self, waiting: Waiting, /) -> None: ...  # noqa: D102
    def popleft(self) -> Waiting: ...  # noqa: D102
    def pop(self) -> Waiting: ...  # noqa: D102


class Pace:
    """Lets everybody in while waits are short; else no more, draws aside, than are answered.

    A queue stands where even the shortest wait of a window is above the target: CoDel's rule (Nichols and Jacobson,
    "Controlling Queue Delay", ACM Queue 2012; RFC 8289), with the target of DAGOR (Zhou et al., SoCC 2018), 20 ms, and
    its order, the less critical first. What is let in then follows the measured rate of answers, less a tenth so that
    the queue drains, as in BBR (Cardwell et al., ACM Queue 2016). Times in microseconds of the monotonic clock.
    """

    WINDOW_US: Final = 100_000
    DRAINING: Final = 0.9
    """Of the rate of answers, while a queue stands."""
    GROWING: Final = 1.25
    """Of the rate let in before, for each window without one."""
    FREE_WINDOWS: Final = 10
    """After so many windows in a row without a standing queue nobody is held back any more."""
    RATES: Final = 10
    """The rate of answers is the greatest of so many windows: a hiccup answers nobody, and says nothing of the rate."""
    BURST: Final = 64.0
    """So many may come at once whatever the rate: a stream's messages in flight are no overload either."""
    RATE_MIN: Final = 100.0
    """Calls a second that are let in whatever was answered: few calls are no overload."""

    def __init__(self, target_ms: int) -> None:
        self._target_us = target_ms * 1_000
        self._began_us = 0
        self._least_us: int | None = None
        self._answered = 0
        self._calm = 0
        self._lag_us = 0
        self._rates: deque[float] = deque(maxlen=self.RATES)
        self._tokens = 0.0
        self._refilled_us = 0
        self.rate: float | None = None
        """Calls a second that are let in; nothing where everybody is."""

    def waited(self, wait_us: int) -> None:
        """Note how long a call had waited when it was passed on."""
        wait_us += self._lag_us
        self._least_us = wait_us if self._least_us is None else min(self._least_us, wait_us)

    def lagged(self, lag_us: int) -> None:
        """Note how late the process came to something it had set itself for: calls that arrive wait as long unseen."""
        self._lag_us = lag_us

    def answered(self, count: int) -> None:
        """Note answers."""
        self._answered += count

    def lets_in(self, criticality: Criticality, now_us: int) -> bool:
        """Claim that a call may come in now."""
        if now_us - self._began_us >= self.WINDOW_US:
            self._turn(now_us)
        if self.rate is None:
            return True
        most = max(self.rate * self.WINDOW_US / 1e6, self.BURST)
        self._tokens = min(self._tokens + self.rate * (now_us - self._refilled_us) / 1e6, most)
        self._refilled_us = now_us
        if criticality is DRAW:
            # Draws come in whatever their number, and take the place of others.
            self._tokens = max(self._tokens - 1, -self.rate)
            return True
        if criticality is BATCH or self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _turn(self, now_us: int) -> None:
        """Judge the window that is over."""
        seconds = (now_us - self._began_us) / 1e6
        is_standing = self._least_us is not None and self._least_us > self._target_us
        self._rates.append(self._answered / seconds)
        if is_standing:
            self._calm = 0
            if self.rate is None:
                self._tokens, self._refilled_us = self.BURST, now_us
            self.rate = max(max(self._rates) * self.DRAINING, self.RATE_MIN)
        elif self.rate is not None:
            self._calm += 1
            self.rate = self.rate * self.GROWING if self._calm < self.FREE_WINDOWS else None
        self._began_us, self._least_us, self._answered = now_us, None, 0


class Queue:
    """Calls that wait for the engine, the more critical first."""

    def __init__(
        self,
        calls_max: int,
        bytes_max: int,
        wait_ms_max: int,
        target_ms: int = 60_000,
        line: Callable[[], CallLine] = deque,
    ) -> None:
        self._calls_max = calls_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._wait_us_max = wait_ms_max * 1_000
        self._lines = tuple(line() for _ in Criticality)
        self.pace = Pace(target_ms)

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def admit(self, waiting: Waiting, criticality: Criticality) -> Waiting | None:
        """Take a call in; gives the less critical one that was put out for it, if any. Raises Overloaded."""
        put_out: Waiting | None = None
        if not self.pace.lets_in(criticality, waiting.since_us):
            raise self.refusal(criticality)
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
