"""Watching a run: asked again a few times a second until it is over.

Promises that a lost engine doesn't end a watch.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from service.domain.errors import EngineUnavailable
from service.engine.ports import Answer
from service.gateway.mode_watch import Look
from service.rpc.runs import next_watch

POLL_SECONDS: Final = 0.25


async def answers(body: bytes, look: Look) -> AsyncIterator[Answer]:
    """Give a watcher of a run its answers, the first at once; raises what a look raises."""
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
