"""Watching a run or an operation: asked again a few times a second until it is over.

Promises that a lost engine doesn't end a watch.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from service.domain.errors import EngineUnavailable
from service.engine.ports.codec import Answer
from service.gateway.mode_watch import Look
from service.rpc import operations, runs
from service.rpc.methods import OPERATIONS, RUNS

POLL_SECONDS: Final = 0.25
_NEXT: Final = {f"{RUNS}WatchDailyRun": runs.next_watch, f"{OPERATIONS}WatchOperation": operations.next_watch}
"""What gives the request that goes on watching after an answer, by the RPC's path."""


def answers_of(path: str) -> Callable[[bytes, Look], AsyncIterator[Answer]]:
    """Give what answers the watchers of an RPC, by its path."""
    next_watch = _NEXT[path]
    return lambda body, look: answers(body, look, next_watch)


async def answers(body: bytes, look: Look, next_watch: Callable[[bytes, bytes], bytes | None]) -> AsyncIterator[Answer]:
    """Give a watcher its answers, the first at once; raises what a look raises."""
    next_body: bytes | None = body
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
