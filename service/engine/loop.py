"""A process's loop: read what gateways sent, have it answered, answer in the order sent; and chores in between.

Promises that calls of one connection take effect in the order sent, and that a gateway which takes no answers is
dropped rather than waited for.
"""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from service.engine import frames
from service.engine.ports.codec import Answer, Call

RECEIVE_BYTES: Final = 1 << 20
SEND_SECONDS_MAX: Final = 1.0
"""A gateway that takes no answer for so long is dropped: it is stopped or dead, and others wait."""
IDLE_SECONDS: Final = 0.5
"""How long a loop without chores waits for calls before it looks whether it shall end."""

log = structlog.get_logger("holdline.engine")


class Answerer(Protocol):
    """Answers calls, each once and with its position; `now_us` is the machine's monotonic clock in microseconds."""

    def answers(  # noqa: D102 - the docstring covers it.
        self, calls: Sequence[Call], now_us: int
    ) -> Iterator[tuple[int, Answer]]: ...


class Chore(NamedTuple):
    """Something to do every so many seconds; `act` gives whether there is more to do right away."""

    seconds: float
    act: Callable[[], bool]


class Loop:
    """Sockets of gateways, the lifeline to the supervisor, and chores."""

    def __init__(self, answerer: Answerer, listener: socket.socket, lifeline: int) -> None:
        self._answerer = answerer
        self._listener = listener
        self._lifeline = lifeline
        self._buffers: dict[socket.socket, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(lifeline, selectors.EVENT_READ)
        self._is_over = False

    def stop(self) -> None:
        """End after the batch in hand."""
        self._is_over = True

    def run(self, chores: Sequence[Chore]) -> None:
        """Serve until stopped or until the lifeline is cut."""
        due_at = [time.monotonic()] * len(chores)
        while not self._is_over:
            received: list[tuple[socket.socket, list[Call]]] = []
            wait_seconds = min(due_at, default=time.monotonic() + IDLE_SECONDS) - time.monotonic()
            for key, _ in self._selector.select(max(wait_seconds, 0.0)):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd == self._lifeline:
                    # The supervisor writes nothing after the settings, so this is its end.
                    self._is_over = True
                elif isinstance(key.fileobj, socket.socket):
                    received += [(key.fileobj, calls) for calls in self._receive(key.fileobj)]
            if received:
                self._answer(received)
            for place, chore in enumerate(chores):
                if time.monotonic() >= due_at[place]:
                    # What has more to do goes on in the next turn, unless calls came in: those come first.
                    more = chore.act() and not received
                    due_at[place] = time.monotonic() + (0.0 if more else chore.seconds)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            # Whoever knocked has gone, or there is no room for him; those who are connected are served on.
            log.warning("connection not taken", cause=str(error))
            return
        connection.settimeout(SEND_SECONDS_MAX)
        self._buffers[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, connection: socket.socket) -> list[list[Call]]:
        try:
            content = connection.recv(RECEIVE_BYTES)
            if not content:
                self._drop(connection)
                return []
            self._buffers[connection] += content
            return [frames.calls(body) for body in frames.split(self._buffers[connection])]
        except OSError:
            self._drop(connection)
            return []
        except frames.FrameBroken:
            log.warning("connection dropped: it sent what is no frame of calls")
            self._drop(connection)
            return []

    def _answer(self, received: list[tuple[socket.socket, list[Call]]]) -> None:
        """Answer frames together, and send each connection its answers when it has them all.

        Two workers whose chunks came together would else wait for each other, and leave the engine idle meanwhile.
        """
        merged = [call for _, calls in received for call in calls]
        connection_of = [connection for connection, calls in received for _ in calls]
        missing = Counter(connection_of)
        given: dict[int, Answer] = {}
        for position, answer in self._answerer.answers(merged, time.monotonic_ns() // 1_000):
            given[position] = answer
            connection = connection_of[position]
            missing[connection] -= 1
            if not missing[connection]:
                self._send(connection, received, given)

    def _send(
        self, connection: socket.socket, received: list[tuple[socket.socket, list[Call]]], given: dict[int, Answer]
    ) -> None:
        """Send a connection the answers to its frames, in order."""
        start = 0
        for owner, calls in received:
            if owner is connection and connection in self._buffers:
                try:
                    for frame in frames.answer_frames([given[start + place] for place in range(len(calls))]):
                        connection.sendall(frame)
                except OSError:
                    log.warning("gateway dropped: it takes no answers")
                    self._drop(connection)
            start += len(calls)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._buffers[connection]
        connection.close()
