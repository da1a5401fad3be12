"""A line to the engine, for our other processes: one call at a time over the engine's socket.

Promises an answer, the engine's refusal, or EngineUnavailable within a bounded time; a broken line is made anew.
"""

import contextlib
import socket
import time
from typing import Final

from service.domain.errors import EngineUnavailable
from service.engine import frames
from service.engine.ports.codec import Answer, Call

TIMEOUT_SECONDS: Final = 5.0
RECEIVE_BYTES: Final = 1 << 16


class Line:
    """A connection to the engine."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def ask(self, method: int, caller: str, body: bytes) -> Answer:
        """Ask one call; raises EngineUnavailable."""
        deadline_us = time.monotonic_ns() // 1_000 + int(TIMEOUT_SECONDS * 1e6)
        buffer = bytearray()
        try:
            connection = self._connected()
            connection.sendall(frames.frame([Call(method, caller, deadline_us, "", body)]))
            while True:
                received = connection.recv(RECEIVE_BYTES)
                if not received:
                    raise ConnectionResetError
                buffer += received
                for answered in frames.split(buffer):
                    return frames.answers(answered)[0]
        except (OSError, frames.FrameBroken) as error:
            self.close()
            raise EngineUnavailable from error

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(TIMEOUT_SECONDS)
            self._socket.connect(self._path)
        return self._socket

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
