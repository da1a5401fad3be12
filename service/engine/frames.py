"""Frames between gateways and the engine: a length of four bytes, then a msgpack array.

Promises that both ends of one build agree; frames are never stored. A frame of calls is answered by one frame with as
many answers, in order.
"""

from typing import Final

import msgspec

from service.engine.ports import Answer, Call

HEADER_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest frame: answers to a full frame of batches. A longer one is a bug, and ends the connection."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_calls: Final = msgspec.msgpack.Decoder(list[Call]).decode
_decode_answers: Final = msgspec.msgpack.Decoder(list[Answer]).decode


class FrameTooLong(Exception):
    """A frame is longer than either end sends."""


def frame(content: list[Call] | list[Answer]) -> bytes:
    """Write calls or answers as one frame."""
    body = _encode(content)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def split(buffer: bytearray) -> list[bytes]:
    """Take the whole frames' bodies out of a buffer; raises FrameTooLong."""
    bodies = []
    start = 0
    while len(buffer) - start >= HEADER_BYTES:
        length = int.from_bytes(buffer[start : start + HEADER_BYTES], "big")
        if length > FRAME_BYTES_MAX:
            raise FrameTooLong
        end = start + HEADER_BYTES + length
        if len(buffer) < end:
            break
        bodies.append(bytes(buffer[start + HEADER_BYTES : end]))
        start = end
    del buffer[:start]
    return bodies


def calls(body: bytes) -> list[Call]:
    """Read a frame of calls."""
    return _decode_calls(body)


def answers(body: bytes) -> list[Answer]:
    """Read a frame of answers."""
    return _decode_answers(body)
