"""The client's own journal of a run: what was asked with which key, and what the caller was told.

Promises to outlive the generator that writes it, call by call, and memory that does not grow with the run. The oracle
(RELIABILITY) is `audit`'s.
"""

import hashlib
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

from loadtests.scenario import Rpc


class Knowledge(IntEnum):
    """What a caller knows of a call."""

    ACKNOWLEDGED = 1
    """Answered with OK: recorded, once."""
    DECLINED = 2
    """Refused by a rule of the business, and not recorded."""
    REFUSED = 3
    """Shed before it cost anything: not recorded."""
    UNKNOWN = 4
    """Timed out, or the way to the answer broke: recorded once or not at all."""


class Entry(NamedTuple):
    """One call as it ended; `seal` stands for the answer but for whether it was a replay."""

    rpc: Rpc
    told: Knowledge
    key: str
    seal: bytes
    body: bytes


SEAL_BYTES: Final = 8
_HEAD: Final = struct.Struct(f"<BBBH{SEAL_BYTES}s")
_RPCS: Final = tuple(Rpc)
_NUMBER_OF: Final = {rpc: number for number, rpc in enumerate(_RPCS)}
_REPLAYED: Final = {Rpc.AUTHORIZE: b"\x10\x01", Rpc.CAPTURE: b"\x10\x01"}
"""How an answer's last field says that it is a replay, where it is not as in `Decide`."""


def seal_of(rpc: Rpc, answer: bytes, status: str) -> tuple[bytes, bool]:
    """Give what stands for an answer, and whether it was a replay."""
    marker = _REPLAYED.get(rpc, b"\x18\x01")
    is_replay = answer.endswith(marker)
    content = answer.removesuffix(marker) if answer else status.encode()
    return hashlib.blake2b(content, digest_size=SEAL_BYTES).digest(), is_replay


class Journal:
    """A journal that is written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def enter(self, entry: Entry) -> None:
        """Write one entry."""
        key = entry.key.encode()
        head = _HEAD.pack(_NUMBER_OF[entry.rpc], entry.told, len(key), len(entry.body), entry.seal)
        self._file.write(head + key + entry.body)

    def close(self) -> None:
        """End the journal."""
        self._file.close()


def read(path: Path) -> Iterator[Entry]:
    """Read a journal; what a killed generator left half written is left out."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            rpc, told, key_bytes, body_bytes, seal = _HEAD.unpack(head)
            content = file.read(key_bytes + body_bytes)
            if len(content) < key_bytes + body_bytes:
                return
            yield Entry(_RPCS[rpc], Knowledge(told), content[:key_bytes].decode(), seal, content[key_bytes:])
