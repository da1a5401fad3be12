"""A closed loop over HTTP/1.1, for peers that speak it: one call in flight a connection, bodies made beforehand."""

import select
import socket
import time
from collections.abc import Iterator

from loadtests.wire import ANSWER_SECONDS_MAX, Run


def closed_loop(listen: str, path: str, bodies: Iterator[bytes], connections: int, seconds: float) -> Run:
    """Keep a call in flight on each connection for so long; statuses are HTTP's, "200" told as "0"."""
    host, _, port = listen.partition(":")
    head = f"POST {path} HTTP/1.1\r\nhost: {listen}\r\ncontent-type: application/json\r\ncontent-length: ".encode()
    sockets = [socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS_MAX) for _ in range(connections)]
    codes: dict[str, int] = {}
    latencies: list[float] = []
    buffers = {one: bytearray() for one in sockets}
    sent_at: dict[socket.socket, float] = {}
    started = time.perf_counter()
    try:
        for one in sockets:
            _send(one, head, next(bodies))
            sent_at[one] = started
        while sent_at:
            ready = select.select(list(sent_at), [], [], ANSWER_SECONDS_MAX)[0]
            if not ready:
                raise ConnectionError("answers are missing")
            for one in ready:
                status = _answered(one, buffers[one])
                if status is None:
                    continue
                now = time.perf_counter()
                codes[status] = codes.get(status, 0) + 1
                if status == "0":
                    latencies.append(now - sent_at[one])
                if now - started < seconds:
                    _send(one, head, next(bodies))
                    sent_at[one] = now
                else:
                    del sent_at[one]
    finally:
        for one in sockets:
            one.close()
    return Run(time.perf_counter() - started, codes, latencies, 0, 0)


def each_once(listen: str, path: str, bodies: Iterator[bytes]) -> None:
    """Send each body once, one after another; raises ConnectionError where one is not answered with 200."""
    for body in bodies:
        run = closed_loop(listen, path, iter([body]), 1, 0.0)
        if run.codes != {"0": 1}:
            raise ConnectionError(f"the peer answered {run.codes}")


def _send(one: socket.socket, head: bytes, body: bytes) -> None:
    one.sendall(head + str(len(body)).encode() + b"\r\n\r\n" + body)


def _answered(one: socket.socket, buffer: bytearray) -> str | None:
    """Read what came; gives the status once the answer is whole."""
    content = one.recv(1 << 16)
    if not content:
        raise ConnectionError("the peer closed the connection")
    buffer += content
    head, separator, rest = buffer.partition(b"\r\n\r\n")
    if not separator:
        return None
    length = next(
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    if len(rest) < length:
        return None
    status = head.split(b" ", 2)[1].decode()
    buffer.clear()
    return "0" if status == "200" else status
