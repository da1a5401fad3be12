"""Who reads or asks much waits for himself; the others take their turns."""

import asyncio

import pytest

from service.domain.decision import Criticality
from service.domain.errors import Overloaded
from service.engine.ports.codec import Answer, Call
from service.gateway.admission import Waiting
from service.gateway.turns import FairQueue

INTERACTIVE = Criticality.INTERACTIVE


@pytest.fixture
def loop() -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    made.close()
    return made


def _waiting(loop: asyncio.AbstractEventLoop, caller: str, since_us: int = 0, size: int = 10) -> Waiting:
    answer: asyncio.Future[Answer] = loop.create_future()
    return Waiting(Call(0, caller, 0, "", b"x" * size), answer, since_us)


def _filled(loop: asyncio.AbstractEventLoop, queue: FairQueue, callers: str) -> list[Waiting]:
    """Let calls in, one a letter, which is its caller's name."""
    calls = [_waiting(loop, caller) for caller in callers]
    for call in calls:
        queue.admit(call, INTERACTIVE)
    return calls


def _taken(queue: FairQueue) -> str:
    return "".join(waiting.call.caller for _ in range(len(queue)) for waiting in queue.take(1, 1_000))


def test_a_call_waits_for_one_of_each_other_caller(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue(1_000, 1_000_000, 1_000)
    first, *_ = _filled(loop, queue, "a" * 300 + "bcb")

    assert queue.take(1, 1_000) == [first]
    assert _taken(queue)[:5] == "bcaba"


def test_whoever_comes_again_and_again_is_no_earlier_for_it(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue(1_000, 1_000_000, 1_000)
    _filled(loop, queue, "aaaa")
    order = ""
    for _ in range(4):
        queue.admit(_waiting(loop, "b"), INTERACTIVE)
        order += "".join(waiting.call.caller for waiting in queue.take(2, 1_000))

    assert order == "abababab"


def test_a_full_queue_lets_others_in_for_the_newest_of_whoever_fills_it(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue(4, 1_000_000, 1_000)
    calls = _filled(loop, queue, "aaaa")

    with pytest.raises(Overloaded):
        queue.admit(_waiting(loop, "a"), INTERACTIVE)
    assert queue.admit(_waiting(loop, "b"), INTERACTIVE) is calls[3]
    assert queue.admit(_waiting(loop, "c"), INTERACTIVE) is calls[2]
    with pytest.raises(Overloaded):
        queue.admit(_waiting(loop, "b"), INTERACTIVE)
    assert _taken(queue) == "abca"


def test_one_is_not_put_out_where_that_gives_no_room(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue(100, 50, 1_000)
    _filled(loop, queue, "aaaaa")

    with pytest.raises(Overloaded):
        queue.admit(_waiting(loop, "b", size=11), INTERACTIVE)
    assert queue.admit(_waiting(loop, "b"), INTERACTIVE) is not None
    assert len(queue) == 5
    assert _taken(queue) == "abaaa"


def test_who_has_waited_too_long_is_refused_more_and_nobody_else_is(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue(100, 1_000_000, 10)
    _filled(loop, queue, "a")

    with pytest.raises(Overloaded):
        queue.admit(_waiting(loop, "a", since_us=10_001), INTERACTIVE)
    assert queue.admit(_waiting(loop, "b", since_us=10_001), INTERACTIVE) is None


def test_callers_that_have_gone_take_no_room(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue(3, 30, 1_000)
    for gone in _filled(loop, queue, "aab"):
        gone.answer.cancel()

    _filled(loop, queue, "cde")
    assert _taken(queue) == "cde"
