"""The message of a call that takes one, awaited for a bounded time.

gRPC's own handlers of such calls never answer a caller who ends his side without a message, and wait for ever for one
who does neither; each such call takes up one of its connection's. So these calls are served as streams of which one
message is read.
"""

import asyncio
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio

from service.domain.errors import DeadlineExpired, InvalidRequest, Violation

LOOK_SECONDS: Final = 0.5

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class FirstMessages:
    """Reads the first message of calls, and ends those that wait for one for too long."""

    def __init__(self, wait_ms_max: int) -> None:
        self._seconds_max = wait_ms_max / 1_000
        self._waiting: dict[asyncio.Task[Any], float] = {}
        """Since when which call waits (the loop's time in seconds), the oldest first."""
        self._overdue: set[asyncio.Task[Any]] = set()

    async def read(self, context: Context) -> bytes:
        """Read a call's message; raises InvalidRequest where none comes, DeadlineExpired where it doesn't come in time.

        No timer a call: `keep_looking` ends what waits for too long.
        """
        call = asyncio.current_task()
        assert call is not None, "gRPC runs each call in a task"
        self._waiting[call] = asyncio.get_running_loop().time()
        try:
            message = await context.read()
        except asyncio.CancelledError:
            if call not in self._overdue:
                raise
            call.uncancel()
            raise DeadlineExpired(what="no message came") from None
        finally:
            del self._waiting[call]
            self._overdue.discard(call)
        if message is grpc.aio.EOF:
            raise InvalidRequest((Violation("request", "the call brought no message; send one"),))
        body: bytes = message
        return body

    async def keep_looking(self) -> None:
        """End calls that have waited for too long, a few times a second; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            before = asyncio.get_running_loop().time() - self._seconds_max
            for call, since in list(self._waiting.items()):
                if since > before:
                    break
                if call not in self._overdue:
                    self._overdue.add(call)
                    call.cancel()
