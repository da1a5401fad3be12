"""Callers with bad intent or bad manners, on loopback, bounded in time and number.

Each runs in a thread until its time is over, and tells what the server did about it. What is measured is never them but
the good callers beside them.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
from holdline.client import Client, HoldlineError
from holdline.v1 import decision_pb2, limit_service_pb2

from loadtests import bodies, wire
from loadtests.scenario import Disturbance, Rpc, What
from loadtests.traffic import PATHS, account_name

SLICE_SECONDS: Final = 0.05
CONTINUATION: Final = 9
CANCEL: Final = struct.pack(">I", 8)


class Abuse:
    """What one bad caller did, and how often the server put it out."""

    def __init__(self, listen: str, one: Disturbance) -> None:
        self.listen = listen
        self.one = one
        self.done = 0
        self.put_out = 0
        self.faults: list[str] = []

    def paced(self) -> Iterator[int]:
        """Give how many more are due, in small slices, until the time is over."""
        began = time.monotonic()
        given = 0
        while (passed := time.monotonic() - began) < self.one.seconds:
            due = int(passed * self.one.per_second) - given
            given += due
            yield due
            time.sleep(SLICE_SECONDS)

    def summary(self) -> str:
        """Say what came of it."""
        return f"{self.one.what}: {self.done} done, put out {self.put_out} times"


@contextmanager
def _raw(listen: str) -> Iterator[socket.socket]:
    host, _, port = listen.partition(":")
    with socket.create_connection((host, int(port)), timeout=2.0) as made:
        made.sendall(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0, b""))
        yield made


def churn(abuse: Abuse) -> None:
    """Make connections, ask for nothing or once, and drop them without a word."""
    for due in abuse.paced():
        for _ in range(due):
            try:
                with _raw(abuse.listen):
                    abuse.done += 1
            except OSError:
                abuse.put_out += 1


def rapid_reset(abuse: Abuse) -> None:
    """Open streams and reset each at once."""
    headers = wire.header_block(abuse.listen, PATHS[Rpc.ACCOUNT], "load-abuse")

    def send(made: socket.socket, streams: Iterator[int], due: int) -> None:
        parts = []
        for _ in range(due):
            stream = next(streams)
            parts.append(wire.frame(wire.HEADERS, wire.END_HEADERS, stream, headers))
            parts.append(wire.frame(wire.RST_STREAM, 0, stream, CANCEL))
        made.sendall(b"".join(parts))

    _flooded(abuse, send)


def ping_flood(abuse: Abuse) -> None:
    """Send pings without a pause."""
    ping = wire.frame(wire.PING, 0, 0, b"\0" * 8)
    _flooded(abuse, lambda made, _, due: made.sendall(ping * due))


def continuation_flood(abuse: Abuse) -> None:
    """Begin a header block and never end it."""
    headers = wire.header_block(abuse.listen, PATHS[Rpc.ACCOUNT], "load-abuse")
    more = wire.literal("x-more", "a" * 100) * 40

    def send(made: socket.socket, streams: Iterator[int], due: int) -> None:
        stream = next(streams)
        made.sendall(wire.frame(wire.HEADERS, 0, stream, headers))
        for _ in range(due):
            made.sendall(wire.frame(CONTINUATION, 0, stream, more))

    _flooded(abuse, send)


def _flooded(abuse: Abuse, send: Callable[[socket.socket, Iterator[int], int], None]) -> None:
    """Flood over one connection after another, each until the server puts it out."""
    over = time.monotonic() + abuse.one.seconds
    paced = abuse.paced()
    while time.monotonic() < over:
        streams = iter(range(1, 2**31 - 1, 2))
        try:
            with _raw(abuse.listen) as made:
                made.settimeout(1.0)
                for due in paced:
                    send(made, streams, due)
                    abuse.done += due
                    # Answers are read, so that it is the flood that is tested and not a full window.
                    made.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        while made.recv(1 << 16):
                            pass
                    made.settimeout(1.0)
        except OSError:
            abuse.put_out += 1
            time.sleep(SLICE_SECONDS)


def slow_reader(abuse: Abuse) -> None:
    """Open streams, send many messages, and never read an answer."""
    channels = [grpc.insecure_channel(abuse.listen) for _ in range(abuse.one.count)]
    over = threading.Event()
    body = limit_service_pb2.StreamDecisionsRequest(requests=[_decision("slow", number) for number in range(20)])

    def endless() -> Iterator[bytes]:
        while not over.wait(0.25):
            abuse.done += 1
            yield body.SerializeToString()

    calls = []
    for number, channel in enumerate(channels):
        # Of the generated types none is needed to send the same bytes again.
        method: Any = channel.stream_stream("/holdline.v1.LimitService/StreamDecisions")
        calls.append(
            method(endless(), timeout=abuse.one.seconds + 5, metadata=(("x-holdline-caller", f"load-slow-{number}"),))
        )
    time.sleep(abuse.one.seconds)
    over.set()
    for call in calls:
        call.cancel()
    for channel in channels:
        channel.close()


def long_stream(abuse: Abuse) -> None:
    """Keep streams open and decide once a second on each; every answer must come, in order."""
    threads = [
        threading.Thread(target=_one_long_stream, args=(abuse, number), daemon=True)
        for number in range(abuse.one.count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(abuse.one.seconds + 30)
        if thread.is_alive():
            abuse.faults.append("a long stream does not end")


def _one_long_stream(abuse: Abuse, number: int) -> None:
    sent = max(int(abuse.one.seconds), 1)

    def asked() -> Iterator[list[limit_service_pb2.DecideRequest]]:
        for position in range(sent):
            time.sleep(1.0)
            yield [_decision(f"long-{number}", position)]

    try:
        with Client(abuse.listen, caller=f"load-long-{number}", timeout_seconds=abuse.one.seconds + 20) as client:
            answers = list(client.stream(asked()))
    except HoldlineError as error:
        abuse.put_out += 1
        # gRPC ends old connections on purpose; whoever streams for longer comes again.
        if error.reason not in ("ENGINE_UNAVAILABLE", "DRAINING", "UNAVAILABLE", ""):
            abuse.faults.append(f"long stream {number}: {error}")
        return
    abuse.done += len(answers)
    if len(answers) != sent:
        abuse.faults.append(f"long stream {number}: {sent} asked, {len(answers)} answered")


def _decision(key: str, number: int) -> limit_service_pb2.DecideRequest:
    return limit_service_pb2.DecideRequest(
        request_id=f"{key}-{number}", account_id=account_name(number), kind=decision_pb2.DECISION_KIND_REVIEW,
        facts=bodies.GOOD,
    )  # fmt: skip


ABUSES: Final[dict[What, Callable[[Abuse], None]]] = {
    What.CHURN: churn, What.RAPID_RESET: rapid_reset, What.PING_FLOOD: ping_flood,
    What.CONTINUATION_FLOOD: continuation_flood, What.SLOW_READER: slow_reader, What.LONG_STREAM: long_stream,
}  # fmt: skip
