"""Frames between processes: answers larger than a frame, and connections that send no frames at all."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from service.domain.decision import Criticality
from service.domain.errors import EngineUnavailable
from service.engine import frames
from service.engine.line import Line
from service.engine.loop import Loop
from service.engine.ports.codec import Answer, Call
from service.gateway.admission import Queue
from service.gateway.link import Link
from service.telemetry import gateway_meters

ANSWER_BYTES = 3 << 20
LATER = 1 << 62


class Echo:
    """Answers each call with its method's number, as many times as its caller's name says."""

    def answers(self, calls: Sequence[Call], now_us: int) -> Iterator[tuple[int, Answer]]:
        del now_us
        for position, call in enumerate(calls):
            yield position, Answer(0, bytes((call.method,)) * int(call.caller))


class Served(NamedTuple):
    path: str
    thread: threading.Thread


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Run a loop over a socket, until its lifeline is cut."""
    path = str(tmp_path / "echo.sock")
    lifeline, end = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        loop = Loop(Echo(), listener, lifeline)
        thread = threading.Thread(target=loop.run, args=([],))
        thread.start()
        try:
            yield Served(path, thread)
        finally:
            os.close(end)
            thread.join()
    os.close(lifeline)


def _frame(content: object) -> bytes:
    body = msgspec.msgpack.encode(content)
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "sent",
    [
        (3).to_bytes(4, "big") + b"\xc1\xff\x00",
        (0).to_bytes(4, "big"),
        (frames.FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        b"GET / HTTP/1.1\r\n\r\n",
        _frame([]),
        _frame({"method": 1}),
        _frame([[1, "caller"]]),
        _frame([["1", "caller", 0, "", b"", 0]]),
        _frame([[1.5, "caller", 0, "", b"", 0]]),
        (9).to_bytes(4, "big") + b"\x91\x96\x01\xa2\xff\xfe\x00\xa0\xc4",
    ],
)
def test_a_malformed_frame_costs_its_connection_only(served: Served, sent: bytes) -> None:
    neighbour = Line(served.path)
    assert neighbour.ask(7, "1", b"").body == b"\x07"

    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(served.path)
        stranger.sendall(sent)
        assert stranger.recv(1) == b""

    assert neighbour.ask(8, "2", b"").body == b"\x08\x08"
    assert Line(served.path).ask(9, "1", b"").body == b"\x09"


def _asked(path: str, calls: Sequence[Call], act: Callable[[Link], None] = lambda _: None) -> list[Answer]:
    """Send calls over a link, in one frame, and give their answers."""

    async def ask() -> list[Answer]:
        connected = asyncio.Event()
        queue = Queue(1_000, 1 << 30, 60_000)
        link = Link(path, queue, 1_000, 1, gateway_meters(None), lambda is_there: connected.set() if is_there else None)
        keeper = asyncio.ensure_future(link.keep_connected())
        await connected.wait()
        act(link)
        asked = [link.submit(call, Criticality.INTERACTIVE) for call in calls]
        try:
            return list(await asyncio.gather(*asked))
        finally:
            keeper.cancel()

    return asyncio.run(ask())


def test_answers_that_together_are_larger_than_a_frame_all_arrive_in_order(served: Served) -> None:
    count = frames.FRAME_BYTES_MAX // ANSWER_BYTES + 4
    sizes = [ANSWER_BYTES if place % 3 else 1 for place in range(2 * count)]
    calls = [Call(place, str(size), LATER, "", b"") for place, size in enumerate(sizes)]

    answers = _asked(served.path, calls)

    assert sum(sizes) > frames.FRAME_BYTES_MAX
    assert [(answer.body[0], len(answer.body)) for answer in answers] == list(enumerate(sizes))


def test_a_frame_of_answers_is_closed_before_it_is_too_long() -> None:
    answers = [Answer(0, b"x" * size) for size in (1, ANSWER_BYTES, ANSWER_BYTES, 0, 5, 4 * ANSWER_BYTES, 1)]

    written = list(frames.answer_frames(answers))
    found = [
        answer for content in written for body in frames.split(bytearray(content)) for answer in frames.answers(body)
    ]

    assert found == answers
    assert len(written) == 3


@pytest.mark.parametrize("sent", [_frame([]), _frame([[0, b"a"], [0, b"b"]]), _frame("words"), b"\xff\xff\xff\xff"])
def test_answers_that_are_none_end_the_connection_and_every_call_is_told(tmp_path: Path, sent: bytes) -> None:
    path = str(tmp_path / "liar.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def lie() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(sent)
                connection.recv(1)

        liar = threading.Thread(target=lie)
        liar.start()
        if sent == _frame([[0, b"a"], [0, b"b"]]):
            # One answer too many: the call has its own.
            assert _asked(path, [Call(1, "1", LATER, "", b"")]) == [Answer(0, b"a")]
        else:
            with pytest.raises(EngineUnavailable):
                _asked(path, [Call(1, "1", LATER, "", b"")])
        liar.join()
