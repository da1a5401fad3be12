"""Answer calls one by one, beside the engine: what reads or computes much, in processes that write nothing.

Promises that a bug met by one call answers INTERNAL to that call alone, and that a call whose caller has given up costs
nothing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import structlog

from service.domain.errors import DeadlineExpired, HoldlineError, InternalError
from service.engine.ports.codec import Answer, Call

log = structlog.get_logger("holdline.beside")


class Codec(Protocol):
    """Translates queries."""

    def query(self, call: Call) -> Answer: ...  # noqa: D102 - the name says it.
    def error(self, error: HoldlineError) -> Answer: ...  # noqa: D102 - the same.


class Answerer:
    """Answers queries one by one."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def answers(self, calls: Sequence[Call], now_us: int) -> Iterator[tuple[int, Answer]]:
        """Answer calls in order, each with its position; `now_us` is the machine's monotonic clock in microseconds."""
        del now_us
        for position, call in enumerate(calls):
            yield position, self._answer(call)

    def _answer(self, call: Call) -> Answer:
        # The call before this one may have taken long, so each looks at the clock anew.
        if call.deadline_us <= time.monotonic_ns() // 1_000:
            return self._codec.error(DeadlineExpired())
        try:
            return self._codec.query(call)
        except Exception:  # The outermost edge of a query.
            log.exception("query failed", method=call.method, trace_id=call.trace_id)
            return self._codec.error(InternalError(trace_id=call.trace_id))


class Preparation:
    """Compiles the versions that may be put in force again, one a turn, so that the engine finds them compiled."""

    def __init__(self, unprepared: Callable[[], Iterator[Callable[[], None]]]) -> None:
        self._unprepared = unprepared
        self._left: Iterator[Callable[[], None]] | None = None

    def step(self) -> bool:
        """Compile the next one, as a chore; claims that there may be more."""
        try:
            if self._left is None:
                self._left = self._unprepared()
            prepare = next(self._left, None)
            if prepare is None:
                return False
            prepare()
        except HoldlineError as error:
            log.warning("policy not prepared", reason=error.reason)
        return True
