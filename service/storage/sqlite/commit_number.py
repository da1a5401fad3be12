"""The number of a store's last commit, kept in three places, so that what was committed is told from a torn tail.

Each commit writes its number into the header of the database (SQLite's application id, in the first page), and with it
into the log; after the commit the number is written into a small file beside it, the mark, without a sync: it survives
the process, and after a power cut it is at worst an older number, which is still one that was reached.

Promises that a store which lacks a commit that one of the three knows of is refused. SQLite alone takes a log for over
at the first frame that is damaged, and a log that belongs to another copy for its own. Formats:
sqlite.org/fileformat2.html, sections 1.3 and 4.
"""

import contextlib
import os
import secrets
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from service import private_file
from service.storage.sqlite.migrate import StoreDamaged

SERVING: Final = 1 << 31
"""Set in the number while a server writes: the log may hold what the database file lacks."""
_RANGE: Final = 1 << 31
_LEAP: Final = 1 << 20
_APPLICATION_ID: Final = 68
"""Where the number stands in the header."""
_HEADER_BYTES: Final = 100
_LOG_HEADER: Final = struct.Struct(">8I")
_FRAME_HEADER: Final = struct.Struct(">6I")
_LOG_MAGIC: Final = 0x377F0682
_PAGE_BYTES: Final = 4096
_FRAME_BYTES: Final = _FRAME_HEADER.size + _PAGE_BYTES
_MARK: Final = struct.Struct(">4sII")
_MARK_MAGIC: Final = b"HLM1"


class Traces(NamedTuple):
    """What is known of a store's commits before SQLite opens it."""

    in_file: int
    """The number in the database file, without what the log adds; 0 in a new one."""
    was_serving: bool
    """Whether its last writer did not close it in order."""
    in_log: tuple[int, ...]
    """The numbers in the log, in the order of its frames, each once in a row, damaged ones included."""
    log_frames: int
    """How many present frames the log has."""
    has_log: bool
    in_mark: int | None
    """The number in the mark; None where there is none that can be read."""


def traces(descriptor: int, path: Path) -> Traces:
    """Read the traces of a store whose database file is open."""
    # The mark first: a server beside a reader goes on, and only what is read after it is as new.
    mark = read_mark(path)
    header = os.pread(descriptor, _HEADER_BYTES, 0)
    found = _number(header, _APPLICATION_ID) if len(header) == _HEADER_BYTES else 0
    log_path = Path(f"{path}-wal")
    numbers, frames = _numbers_of_log(log_path)
    return Traces(number_of(found), bool(found & SERVING), numbers, frames, log_path.exists(), mark)


def number_of(application_id: int) -> int:
    """Give the number within an application id as SQLite gives it."""
    return application_id & (_RANGE - 1)


def next_after(number: int) -> int:
    """Give the number of the next commit; they begin anew after 2^31."""
    return (number + 1) % _RANGE


def begun_after(number: int) -> int:
    """Give the number that a new life of a store begins with: no other life, of this store or a copy, goes on there."""
    return (number + 1 + secrets.randbelow(_LEAP)) % _RANGE


def is_later(number: int, than: int) -> bool:
    """Claim that a number comes after another; of two the later is less than half the range ahead (RFC 1982)."""
    return 0 < (number - than) % _RANGE < _RANGE // 2


def refuse_unreached(found: Traces, names: int, path: Path) -> None:
    """Refuse a store whose log must be elsewhere, before SQLite opens it; raises StoreDamaged."""
    if not found.was_serving:
        return
    if not found.has_log:
        raise StoreDamaged(
            f"{path.name} was being written and its log {path.name}-wal is not beside it: what was committed last is "
            f"missing. Bring the log back, or restore a backup (service/README.md)"
        )
    if names > 1 and found.in_mark is not None and is_later(found.in_file, found.in_mark):
        raise StoreDamaged(
            f"{path.name} is one of {names} names of a file that was written last under another one, where its log "
            f"lies. Start the server by that name"
        )


def refuse_lost(found: Traces, recovered: int, path: Path, *, is_alone: bool) -> None:
    """Refuse a store that lacks commits which were made, by the number that SQLite has recovered.

    `is_alone`: no server writes, so what the log holds beyond is no commit in the making. Raises StoreDamaged.
    """
    if found.in_mark is not None and is_later(found.in_mark, recovered):
        raise StoreDamaged(
            f"{path.name} holds commits up to {recovered}, and {found.in_mark} was acknowledged under this name: its "
            f"log is damaged, or an older copy stands in its place. Restore a backup (service/README.md)"
        )
    if not is_alone:
        return
    if is_later(found.in_file, recovered):
        raise StoreDamaged(
            f"{path.name}-wal is not the log of {path.name}, or is damaged: with it the file falls back from commit "
            f"{found.in_file} to {recovered}. Bring its own log back, or restore a backup (service/README.md)"
        )
    if found.log_frames <= 1:
        # A new life begins with a frame of its own, which holds its number and nothing else.
        return
    if found.in_log and is_later(found.in_log[0], next_after(found.in_file)):
        raise StoreDamaged(
            f"{path.name}-wal is not the log of {path.name}: it begins with commit {found.in_log[0]}, the file ends "
            f"with {found.in_file}. Bring its own log back, or restore a backup (service/README.md)"
        )
    # One commit may have been in the making when the power went; two can't, for each is synced before the next begins.
    last = max(found.in_log, key=lambda number: (number - recovered + _RANGE // 2) % _RANGE, default=recovered)
    if is_later(last, next_after(recovered)):
        raise StoreDamaged(
            f"{path.name}-wal is damaged in the middle: commits after {recovered} follow, up to {last}, and can't be "
            f"read. Restore a backup (service/README.md)"
        )


def _numbers_of_log(log_path: Path) -> tuple[tuple[int, ...], int]:
    """Read the numbers that the present frames of a log hold, and count the frames.

    Whether SQLite would take the frames for whole makes no difference.
    """
    try:
        descriptor = os.open(log_path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return (), 0
    try:
        return _numbers(descriptor)
    finally:
        os.close(descriptor)


def _numbers(descriptor: int) -> tuple[tuple[int, ...], int]:
    header = os.pread(descriptor, _LOG_HEADER.size, 0)
    if len(header) < _LOG_HEADER.size:
        return (), 0
    salts = _LOG_HEADER.unpack(header)[4:6] if _is_whole(header) else None
    numbers: list[int] = []
    present = 0
    at = _LOG_HEADER.size
    while len(frame := os.pread(descriptor, _FRAME_HEADER.size, at)) == _FRAME_HEADER.size:
        page, _, *frame_salts, _, _ = _FRAME_HEADER.unpack(frame)
        # Where the log's own header is damaged, the first frame says which frames are present.
        salts = salts or tuple(frame_salts)
        is_present = tuple(frame_salts) == salts
        present += is_present
        if page == 1 and is_present:
            number = os.pread(descriptor, 4, at + _FRAME_HEADER.size + _APPLICATION_ID)
            found = number_of(_number(number, 0)) if len(number) == 4 else None
            if found is not None and numbers[-1:] != [found]:
                numbers.append(found)
        at += _FRAME_BYTES
    return tuple(numbers), present


def _is_whole(header: bytes) -> bool:
    """Claim that a log's header carries its own checksum."""
    magic, _, page_bytes, *_, first, second = _LOG_HEADER.unpack(header)
    if magic & ~1 != _LOG_MAGIC or page_bytes != _PAGE_BYTES:
        return False
    words = struct.unpack(">6I" if magic & 1 else "<6I", header[:24])
    sums = [0, 0]
    for place in range(0, 6, 2):
        sums[0] = (sums[0] + words[place] + sums[1]) & 0xFFFFFFFF
        sums[1] = (sums[1] + words[place + 1] + sums[0]) & 0xFFFFFFFF
    return sums == [first, second]


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4])


def mark_path(path: Path) -> Path:
    """Give the mark's path, beside the database file."""
    return Path(f"{path}-mark")


def read_mark(path: Path) -> int | None:
    """Read a store's mark; None where there is none that can be read."""
    with contextlib.suppress(OSError, struct.error):
        magic, number, checksum = _MARK.unpack(mark_path(path).read_bytes())
        if magic == _MARK_MAGIC and checksum == zlib.crc32(_MARK.pack(magic, number, 0)):
            return int(number)
    return None


class Mark:
    """The open mark of a store that is written."""

    def __init__(self, path: Path) -> None:
        """Open the mark; raises OSError."""
        self._descriptor = private_file.opener(str(mark_path(path)), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)

    def reach(self, number: int) -> None:
        """Write down that a commit was made; a mark that can't be written stays an older one."""
        content = _MARK.pack(_MARK_MAGIC, number, zlib.crc32(_MARK.pack(_MARK_MAGIC, number, 0)))
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, content, 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
