"""The link to the engine: calls out in frames, answers back in order.

Promises that a call's future is always resolved: by its answer, or by ENGINE_UNAVAILABLE when the engine goes away
with the call in its hands. While one frame is being made durable the next one gathers, without a timer.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import structlog

from service.domain.decision import Criticality
from service.domain.errors import EngineUnavailable
from service.engine import frames
from service.engine.ports.codec import Answer, Call
from service.gateway.admission import Queue, Waiting
from service.telemetry import GatewayMeters

FRAME_REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
RECONNECT_SECONDS_MIN: Final = 0.02
RECONNECT_SECONDS_MAX: Final = 0.5
LAG_SECONDS: Final = 0.02

log = structlog.get_logger("holdline.gateway")


class Link(asyncio.Protocol):
    """One connection to the engine, made again whenever it breaks."""

    def __init__(
        self,
        path: str,
        queue: Queue,
        batch_calls_max: int,
        frames_max: int,
        meters: GatewayMeters,
        on_change: Callable[[bool], None],
    ) -> None:
        self._path = path
        self._queue = queue
        self._batch_calls_max = batch_calls_max
        self._frames_max = frames_max
        self._meters = meters
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._in_flight: deque[deque[Waiting]] = deque()
        self._buffer = bytearray()
        self._is_flush_due = False
        self._lost = asyncio.Event()

    async def keep_connected(self) -> None:
        """Connect, and again after each loss, with growing pauses; runs until cancelled."""
        pause = RECONNECT_SECONDS_MIN
        while True:
            try:
                await self._loop.create_unix_connection(lambda: self, self._path)
            except OSError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RECONNECT_SECONDS_MAX)
                continue
            pause = RECONNECT_SECONDS_MIN
            await self._lost.wait()

    async def watch_lag(self) -> None:
        """Tell the queue how far this process is behind; runs until cancelled."""
        while True:
            due = self._loop.time() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._queue.pace.lagged(int((self._loop.time() - due) * 1e6))

    @property
    def is_idle(self) -> bool:
        """Whether no call waits or is in flight."""
        return not self._in_flight and not len(self._queue)

    def submit(self, call: Call, criticality: Criticality) -> asyncio.Future[Answer]:
        """Queue a call; raises Overloaded or EngineUnavailable."""
        if self._transport is None:
            raise EngineUnavailable
        answer: asyncio.Future[Answer] = self._loop.create_future()
        put_out = self._queue.admit(Waiting(call, answer, time.monotonic_ns() // 1_000), criticality)
        if put_out is not None and not put_out.answer.done():
            put_out.answer.set_exception(self._queue.refusal(Criticality(put_out.call.criticality)))
        if not self._is_flush_due and len(self._in_flight) < self._frames_max:
            # Calls that arrive in the same turn of the loop go in the same frame.
            self._is_flush_due = True
            self._loop.call_soon(self._flush)
        return answer

    def _flush(self) -> None:
        self._is_flush_due = False
        while self._transport is not None and len(self._in_flight) < self._frames_max:
            taken = self._queue.take(self._batch_calls_max, FRAME_REQUEST_BYTES_MAX)
            if not taken:
                return
            self._in_flight.append(deque(taken))
            self._transport.write(frames.frame([waiting.call for waiting in taken]))
            wait_us = time.monotonic_ns() // 1_000 - taken[0].since_us
            self._queue.pace.waited(wait_us)
            if self._meters.wait_seconds is not None:
                self._meters.wait_seconds.record(wait_us / 1e6)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to send."""
        # uvloop's transports are not registered as asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._lost.clear()
        self._on_change(True)

    def data_received(self, data: bytes) -> None:
        """Resolve the calls of each frame that is complete; a broken one ends the connection."""
        self._buffer += data
        try:
            for body in frames.split(self._buffer):
                answered = frames.answers(body)
                self._queue.pace.answered(len(answered))
                for answer in answered:
                    self._resolve(answer)
        except frames.FrameBroken:
            log.error("engine dropped: it sent what is no frame of answers")
            if self._transport is not None:
                self._transport.abort()
            return
        self._flush()

    def _resolve(self, answer: Answer) -> None:
        """Give the call that has been in flight the longest its answer; raises FrameBroken where none is."""
        if not self._in_flight:
            raise frames.FrameBroken
        sent = self._in_flight[0]
        waiting = sent.popleft()
        if not sent:
            self._in_flight.popleft()
        if not waiting.answer.done():
            waiting.answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer everything in hand with ENGINE_UNAVAILABLE."""
        log.warning(
            "engine lost",
            cause=str(exc or "closed"),
            in_flight=sum(map(len, self._in_flight)),
            waiting=len(self._queue),
        )
        self._transport = None
        self._buffer.clear()
        left = [waiting for taken in self._in_flight for waiting in taken] + self._queue.drain()
        self._in_flight.clear()
        for waiting in left:
            if not waiting.answer.done():
                waiting.answer.set_exception(EngineUnavailable())
        self._on_change(False)
        self._lost.set()
