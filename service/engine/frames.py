"""Frames between gateways and the engine: a length of four bytes, then a msgpack array.

Promises that both ends of one build agree; frames are never stored. A frame of calls is answered by as many answers, in
order, in one frame or, where they are large, in several.
"""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec

from service.engine.ports.codec import Answer, Call

HEADER_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest frame; a longer one is a bug, and ends the connection."""
FRAME_ANSWERS_BYTES: Final = 4 * 1024 * 1024
"""A frame of answers is closed once it has so many bytes; each answer alone is bounded by whoever gives it."""

Content = TypeVar("Content", Call, Answer)

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_calls: Final = msgspec.msgpack.Decoder(list[Call]).decode
_decode_answers: Final = msgspec.msgpack.Decoder(list[Answer]).decode


class FrameBroken(Exception):
    """A frame that neither end sends: too long, or something else than calls or answers."""


def frame(content: list[Call] | list[Answer]) -> bytes:
    """Write calls or answers as one frame."""
    body = _encode(content)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def answer_frames(content: list[Answer]) -> Iterator[bytes]:
    """Write answers as frames that neither end finds too long, however large they are together."""
    start = size = 0
    for place, answer in enumerate(content):
        size += len(answer.body)
        if size >= FRAME_ANSWERS_BYTES:
            yield frame(content[start : place + 1])
            start, size = place + 1, 0
    if start < len(content):
        yield frame(content[start:])


def split(buffer: bytearray) -> list[bytes]:
    """Take the whole frames' bodies out of a buffer; raises FrameBroken."""
    bodies = []
    start = 0
    while len(buffer) - start >= HEADER_BYTES:
        length = int.from_bytes(buffer[start : start + HEADER_BYTES], "big")
        if length > FRAME_BYTES_MAX:
            raise FrameBroken
        end = start + HEADER_BYTES + length
        if len(buffer) < end:
            break
        bodies.append(bytes(buffer[start + HEADER_BYTES : end]))
        start = end
    del buffer[:start]
    return bodies


def calls(body: bytes) -> list[Call]:
    """Read a frame of calls, at least one; raises FrameBroken."""
    return _read(_decode_calls, body)


def answers(body: bytes) -> list[Answer]:
    """Read a frame of answers, at least one; raises FrameBroken."""
    return _read(_decode_answers, body)


def _read(decode: Callable[[bytes], list[Content]], body: bytes) -> list[Content]:
    try:
        found = decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameBroken from error
    if not found:
        raise FrameBroken
    return found
