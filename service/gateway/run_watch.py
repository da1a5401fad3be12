"""Watching a run: asked again a few times a second until it is over.

Promises that a lost engine doesn't end a watch, and that no more callers watch than allowed.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from service.domain.errors import EngineUnavailable, Overloaded
from service.engine.ports import Answer
from service.gateway.mode_watch import Look
from service.rpc.runs import next_watch

POLL_SECONDS: Final = 0.25


class RunWatch:
    """Gives those who watch runs their answers."""

    def __init__(self, watchers_max: int) -> None:
        self._watchers = 0
        self._watchers_max = watchers_max

    async def answers(self, body: bytes, look: Look) -> AsyncIterator[Answer]:
        """Give a watcher its answers, the first at once; raises Overloaded or what a look raises."""
        if self._watchers >= self._watchers_max:
            raise Overloaded("watcher", int(POLL_SECONDS * 1_000))
        self._watchers += 1
        next_body: bytes | None = body
        try:
            while next_body is not None:
                try:
                    answer = await look(next_body)
                except EngineUnavailable:
                    answer = Answer(0, b"")
                if answer.code or answer.body:
                    yield answer
                if answer.code:
                    return
                if answer.body:
                    next_body = next_watch(next_body, answer.body)
                if next_body is not None:
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            self._watchers -= 1
