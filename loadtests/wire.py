"""A gRPC load generator of its own: one HTTP/2 connection, frames written by hand, a fresh body for every call.

Promises a cost of a few microseconds a call, so that on a small machine the server is what is measured; latencies from
the intended start in open loops, so that a stalled server can't hide its stall. h2load sends one body again and again,
and a replayed key is not a durable decision. Loopback only, bounded in calls and time.
"""

import base64
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import hpack
from google.rpc import error_details_pb2, status_pb2

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
STREAMS_MAX = 3
REFUSED_STREAM = 7
NOT_TAKEN = "14 NOT_TAKEN"
"""The server did not take the stream: nothing was done, and the call may be sent again at once (RFC 9113, 8.7)."""
# No header table, so equal header bytes mean equal headers; windows as large as they come.
SETTINGS_SENT = struct.pack(">HIHI", 1, 0, 4, 2**31 - 1)
WINDOW_BYTES = 2**31 - 1 - 65_535
WINDOW_BYTES_FIRST = 65_535
FRAME_BYTES_MAX = 16_384
BODY_BYTES_MAX = 512
"""With at most 100 bodies of so many bytes in flight the server's windows (64 KiB) are never filled."""
IN_FLIGHT_MAX = 100
ANSWER_SECONDS_MAX = 10.0
REPLAYED = b"\x18\x01"


class Run(NamedTuple):
    """What a run saw: seconds, calls by gRPC status, latencies (seconds) of OK answers, replays, sizes of answers."""

    seconds: float
    codes: dict[str, int]
    latencies: list[float]
    replayed: int
    answer_bytes: int

    @property
    def per_second(self) -> float:
        """Completed calls with status OK, a second."""
        return self.codes.get("0", 0) / self.seconds

    def percentile(self, share: float) -> float:
        """Give the latency, in milliseconds, that a share of the OK answers kept within."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3 if ordered else 0.0


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """Write an HTTP/2 frame."""
    return struct.pack(">I", len(content))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + content


def _reason(details: bytes) -> str:
    """Give the reason in a status's details, empty where gRPC itself made the status."""
    made = status_pb2.Status.FromString(base64.b64decode(details + b"=" * (-len(details) % 4)))
    for detail in made.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return "-"


def literal(name: str, value: str) -> bytes:
    """Write a header without indexing and without Huffman code."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def header_block(listen: str, path: str, caller: str, timeout: str = "5S", **more: str) -> bytes:
    """Write the headers of calls to a method; `timeout` as gRPC writes it, and what else callers say of themselves."""
    headers = {
        ":method": "POST", ":scheme": "http", ":path": path, ":authority": listen, "te": "trailers",
        "content-type": "application/grpc", "x-holdline-caller": caller, "grpc-timeout": timeout, **more,
    }  # fmt: skip
    return b"".join(literal(name, value) for name, value in headers.items())


class Connection:
    """One HTTP/2 connection that sends calls and tells what came back."""

    def __init__(self, listen: str, path: str, caller: str) -> None:
        host, _, port = listen.partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = header_block(listen, path, caller)
        self.socket.sendall(
            PREFACE + frame(SETTINGS, 0, 0, SETTINGS_SENT) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW_BYTES))
        )
        self._buffer = bytearray()
        self._is_greeted = False
        self._next_stream = 1
        self._statuses: dict[bytes, str] = {}
        self.replayed = 0
        self.answer_bytes = 0
        self.window = WINDOW_BYTES_FIRST
        """Bytes of bodies that the server still takes on this connection."""
        self.streams_max = IN_FLIGHT_MAX
        """Calls in flight that the server takes on this connection, and we keep to."""
        self.last_stream: int | None = None
        """Where the server goes away: the last stream that it will still answer. No more calls may be sent then."""
        self.tells_reasons = False
        """Whether a status is told with its google.rpc reason, as in "8 OVERLOADED"."""
        self.answers: dict[int, bytearray] | None = None
        """Answers by stream, where somebody wants to read them; who reads one takes it out."""

    def greet(self, seconds_max: float) -> None:
        """Wait for what the server says first of itself: how many calls it takes at once."""
        give_up_at = time.monotonic() + seconds_max
        while not self._is_greeted and time.monotonic() < give_up_at:
            self.receive(seconds_max)

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, bodies: list[bytes]) -> list[int]:
        """Send calls, all in one write; gives their streams."""
        assert all(len(body) <= BODY_BYTES_MAX for body in bodies)
        return self.send_calls([(self._headers, body) for body in bodies])

    def send_calls(self, calls: list[tuple[bytes, bytes]]) -> list[int]:
        """Send calls, each with its header block and body, all in one write; gives their streams.

        A body must fit in one stream's window and, all together, in what `window` has left.
        """
        parts, streams = [], []
        for headers, body in calls:
            stream = self._next_stream
            self._next_stream += 2
            streams.append(stream)
            self.window -= len(body) + 5
            content = b"\0" + struct.pack(">I", len(body)) + body
            parts.append(frame(HEADERS, END_HEADERS, stream, headers))
            for start in range(0, len(content), FRAME_BYTES_MAX):
                flags = END_STREAM if start + FRAME_BYTES_MAX >= len(content) else 0
                parts.append(frame(DATA, flags, stream, content[start : start + FRAME_BYTES_MAX]))
        self.socket.sendall(b"".join(parts))
        return streams

    def receive(self, seconds_max: float) -> list[tuple[int, str]]:
        """Wait for answers; gives ended streams with their gRPC status."""
        if not select.select([self.socket], [], [], seconds_max)[0]:
            return []
        content = self.socket.recv(1 << 20)
        if not content:
            raise ConnectionError("the server closed the connection")
        buffer = self._buffer
        buffer += content
        ended: list[tuple[int, str]] = []
        start, size = 0, len(buffer)
        while size - start >= 9:
            length = buffer[start] << 16 | buffer[start + 1] << 8 | buffer[start + 2]
            end = start + 9 + length
            if size < end:
                break
            kind, flags = buffer[start + 3], buffer[start + 4]
            stream = int.from_bytes(buffer[start + 5 : start + 9], "big")
            if kind == HEADERS and flags & END_STREAM:
                ended.append((stream, self._status(bytes(buffer[start + 9 : end]))))
            elif kind == DATA:
                self.answer_bytes = max(length - 5, self.answer_bytes)
                self.replayed += length >= 7 and buffer[end - 2 : end] == REPLAYED
                if self.answers is not None:
                    self.answers.setdefault(stream, bytearray()).extend(buffer[start + 9 : end])
            elif kind == WINDOW_UPDATE:
                if not stream:
                    self.window += int.from_bytes(buffer[start + 9 : end], "big")
            elif kind != HEADERS:
                self._control(kind, flags, bytes(buffer[start:end]), ended)
            start = end
        del buffer[:start]
        return ended

    def _control(self, kind: int, flags: int, content: bytes, ended: list[tuple[int, str]]) -> None:
        if kind == SETTINGS and not flags & ACK:
            self._is_greeted = True
            for name, value in struct.iter_unpack(">HI", content[9:]):
                if name == STREAMS_MAX:
                    self.streams_max = min(value, IN_FLIGHT_MAX)
            self.socket.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, content[9:]))
        elif kind == RST_STREAM:
            is_refused = int.from_bytes(content[9:13], "big") == REFUSED_STREAM
            status = NOT_TAKEN if is_refused else "14 RESET" if self.tells_reasons else "reset"
            ended.append((int.from_bytes(content[5:9], "big"), status))
        elif kind == GOAWAY:
            if self.answers is None:
                raise ConnectionError("the server goes away")
            self.last_stream = int.from_bytes(content[9:13], "big")

    def _status(self, block: bytes) -> str:
        found = self._statuses.get(block)
        if found is None:
            headers = dict(hpack.Decoder().decode(block, raw=True))
            found = bytes(headers[b"grpc-status"]).decode()
            if self.tells_reasons and found != "0":
                found = f"{found} {_reason(bytes(headers.get(b'grpc-status-details-bin', b'')))}"
            if len(self._statuses) < 1_000:
                self._statuses[block] = found
        return found


def closed_loop(connection: Connection, bodies: Iterator[bytes], in_flight: int, seconds: float) -> Run:
    """Keep so many calls in flight for so long: the most that the server does."""
    assert in_flight <= IN_FLIGHT_MAX
    codes: dict[str, int] = {}
    latencies: list[float] = []
    started = time.perf_counter()
    replayed = connection.replayed
    sent_at = dict.fromkeys(connection.send([next(bodies) for _ in range(in_flight)]), started)
    while sent_at:
        ended = connection.receive(5.0)
        now = time.perf_counter()
        for stream, code in ended:
            latency = now - sent_at.pop(stream)
            if code == NOT_TAKEN:
                # The server still counted a stream that had ended for us: another call takes its place.
                continue
            codes[code] = codes.get(code, 0) + 1
            if code == "0":
                latencies.append(latency)
        if now - started < seconds:
            if ended:
                sent_at |= dict.fromkeys(connection.send([next(bodies) for _ in ended]), now)
        elif now - started > seconds + ANSWER_SECONDS_MAX:
            raise ConnectionError("answers are missing")
    took = time.perf_counter() - started
    return Run(took, codes, latencies, connection.replayed - replayed, connection.answer_bytes)


def open_loop(connection: Connection, bodies: Iterator[bytes], per_second: float, seconds: float) -> Run:
    """Send on a schedule; latencies count from the intended start. Calls beyond the in-flight bound wait here."""
    codes: dict[str, int] = {}
    latencies: list[float] = []
    replayed = connection.replayed
    due: deque[tuple[float, bytes]] = deque()
    sent: dict[int, tuple[float, bytes]] = {}
    started = time.perf_counter()
    scheduled, count = 0, int(per_second * seconds)
    while scheduled < count or due or sent:
        now = time.perf_counter()
        while scheduled < count and started + scheduled / per_second <= now:
            due.append((started + scheduled / per_second, next(bodies)))
            scheduled += 1
        batch = min(len(due), IN_FLIGHT_MAX - len(sent))
        if batch:
            calls = [due.popleft() for _ in range(batch)]
            streams = connection.send([body for _, body in calls])
            sent |= dict(zip(streams, calls, strict=True))
        wait = started + scheduled / per_second - time.perf_counter() if scheduled < count else 1.0
        for stream, code in connection.receive(max(min(wait, 1.0), 0.0)):
            call = sent.pop(stream)
            if code == NOT_TAKEN:
                due.appendleft(call)
                continue
            codes[code] = codes.get(code, 0) + 1
            if code == "0":
                latencies.append(time.perf_counter() - call[0])
    return Run(time.perf_counter() - started, codes, latencies, connection.replayed - replayed, connection.answer_bytes)


def flood(connections: list[Connection], bodies: Iterator[bytes], per_second: float, seconds: float) -> Run:
    """Offer more than a server can do, over several connections, and count what comes back while it lasts.

    Calls that find no room on any connection are dropped and counted as "not sent": a caller's own bound.
    """
    codes: dict[str, int] = {}
    latencies: list[float] = []
    sent_at: list[dict[int, float]] = [{} for _ in connections]
    sockets = {connection.socket: number for number, connection in enumerate(connections)}
    started = time.perf_counter()
    offered, turn = 0, 0
    while (now := time.perf_counter()) - started < seconds:
        due = int((now - started) * per_second) - offered
        offered += due
        for _ in connections:
            turn = (turn + 1) % len(connections)
            batch = min(due, IN_FLIGHT_MAX - len(sent_at[turn]))
            if batch > 0:
                streams = connections[turn].send([next(bodies) for _ in range(batch)])
                sent_at[turn] |= dict.fromkeys(streams, now)
                due -= batch
        codes["not sent"] = codes.get("not sent", 0) + due
        for ready in select.select(list(sockets), [], [], 0.001)[0]:
            number = sockets[ready]
            for stream, code in connections[number].receive(0):
                sent = sent_at[number].pop(stream, None)
                if sent is None:
                    # A shed call may be reset after its status.
                    continue
                latency = time.perf_counter() - sent
                word = "not sent" if code == NOT_TAKEN else code
                codes[word] = codes.get(word, 0) + 1
                if code == "0":
                    latencies.append(latency)
    replayed = sum(connection.replayed for connection in connections)
    return Run(time.perf_counter() - started, codes, latencies, replayed, 0)
