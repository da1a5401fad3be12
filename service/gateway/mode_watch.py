"""The mode as a gateway sees it: one look at a time for everybody who watches, and admission before the queue.

Promises that a watcher is told of each change in less than a poll's time and a call, and that a lost engine doesn't end
a watch. What is refused here early, the engine would refuse all the same: it reads the mode in the deciding
transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog

from service.domain.decision import Criticality
from service.domain.errors import Draining, EngineUnavailable, HoldlineError, Overloaded
from service.engine.ports.codec import Answer
from service.rpc.mode_glance import Glance, Shed, glance, glance_request, next_watch

RETRY_SECONDS: Final = 0.2

log = structlog.get_logger("holdline.gateway")
Look = Callable[[bytes], Awaitable[Answer]]


class ModeWatch:
    """Looks at the mode again and again, and wakes who watches when it has changed."""

    def __init__(self, poll_ms: int, look: Look) -> None:
        """Make a watch; `look` asks the engine for a glance."""
        self._poll_seconds = poll_ms / 1_000
        self._look = look
        self._changed = asyncio.Event()
        self._token = ""
        self._is_closed = False
        self._shed: dict[int, Shed] = {}

    async def keep_looking(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                answer = await self._look(glance_request(self._token))
            except HoldlineError as error:
                log.debug("mode not seen", reason=error.reason)
                continue
            if not answer.code and answer.body:
                self._take(glance(answer.body))

    def _take(self, seen: Glance) -> None:
        self._token = seen.token
        self._shed = {shed.criticality: shed for shed in seen.sheds}
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def close(self) -> None:
        """End every watch; for draining."""
        self._is_closed = True
        self._changed.set()

    def admit(self, criticality: Criticality) -> None:
        """Refuse a call that the mode sheds; raises Overloaded."""
        shed = self._shed.get(criticality)
        if shed is not None:
            refusal = Overloaded(criticality.name.lower(), shed.retry_after_ms)
            refusal.metadata["activation_id"] = shed.activation
            raise refusal

    async def answers(self, body: bytes, look: Look) -> AsyncIterator[Answer]:
        """Give a watcher its answers, the first at once; raises Draining or what a look raises."""
        while not self._is_closed:
            changed = self._changed
            try:
                answer = await look(body)
            except EngineUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer.code or answer.body:
                yield answer
            if answer.code:
                return
            if answer.body:
                body = next_watch(answer.body)
                continue
            await changed.wait()
        raise Draining
