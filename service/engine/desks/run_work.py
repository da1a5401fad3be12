"""What workers of the daily run and the engine say to each other. Frames of one build, never stored.

Promises that a worker only proposes: the engine decides each account anew, and writes down a chunk's decisions and the
worker's progress in one transaction.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from service.domain.daily_run import Discrepancy, PromiseLine


class TaskKind(IntEnum):
    """What a worker is to do."""

    QUEUE = 1
    """Raise those who wait for the budget, in turn."""
    RUN = 2
    """Raise whoever in a range of accounts is promised a raise."""
    CLOSE = 3
    """Hold every account against the decision log."""
    MAKE_GOOD = 4
    """Raise those for whom a closed day is missing one."""


class Task(NamedTuple):
    """A piece of work, leased: account ids above `done_id` up to `upto_id`. Days since 1970-01-01."""

    kind: TaskKind
    business_day: int
    shard: int
    done_id: str
    upto_id: str
    waiting_day: int = 0
    """With QUEUE and MAKE_GOOD: the day since whose end they wait, 0 for none."""
    is_counted: bool = True
    """Whether the run knows how many accounts there are."""


class Chunk(NamedTuple):
    """What a worker found and how far it came."""

    kind: TaskKind
    business_day: int
    shard: int
    from_id: str
    """Where it began: the `done_id` that the engine must still hold, so that no chunk counts twice."""
    done_id: str
    is_done: bool
    raises: tuple[str, ...]
    """Accounts to decide on."""
    looked: int
    accounts: int = 0
    """How many accounts there are, where the worker counted."""
    lines: tuple[PromiseLine, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()
    without_limit: int = 0
    """With RUN: how many of those looked at had no limit on the day."""


class WorkerAsk(NamedTuple):
    """A worker's message: who it is, and a chunk or, where there is none, the wish for a task."""

    holder: str
    chunk: Chunk | None = None


class Reply(NamedTuple):
    """The engine's answer; a chunk that was not taken must be given up with its task."""

    task: Task | None
    refusal: str
    """Why the chunk was not taken; empty where it was."""
    calls: int
    """How many commands of callers the engine has answered so far."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_ask: Final = msgspec.msgpack.Decoder(WorkerAsk).decode
_decode_reply: Final = msgspec.msgpack.Decoder(Reply).decode


def ask_bytes(ask: WorkerAsk) -> bytes:
    """Write a worker's message."""
    return _encode(ask)


def ask_of(body: bytes) -> WorkerAsk:
    """Read a worker's message."""
    return _decode_ask(body)


def reply_bytes(reply: Reply) -> bytes:
    """Write the engine's answer."""
    return _encode(reply)


def reply_of(body: bytes) -> Reply:
    """Read the engine's answer."""
    return _decode_reply(body)
