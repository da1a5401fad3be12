"""A disk that forgets what was not synced, as a real VFS under SQLite.

Promises that the engine sees an ordinary file system while it runs; that a power cut leaves of each file what was
synced and a seeded choice of what was not, the last of it perhaps torn; and that errors fall where the plan says.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

VFS_NAME: Final = "simulated"
SECTOR: Final = 512


class Write(NamedTuple):
    """A write that was not synced yet: where, what, and what stood there before."""

    offset: int
    content: bytes
    before: bytes
    size_before: int


class Disk:
    """Every file's writes since its last sync, and what goes wrong next."""

    def __init__(self) -> None:
        self.unsynced: dict[str, list[Write]] = {}
        self.error_in = 0
        """The write or sync, counted from 1, that fails once; 0 for none."""
        self.dies_in = 0
        """The write or sync after which nothing reaches the disk any more: the process is dead; 0 for never."""
        self.is_dead = False
        self.errors = 0

    def heal(self) -> None:
        """Let nothing fail any more."""
        self.error_in = self.dies_in = 0
        self.is_dead = False

    def touch(self) -> None:
        """Count a write or sync; raises where it fails."""
        if self.is_dead:
            raise apsw.IOError("the process is dead")
        if self.dies_in:
            self.dies_in -= 1
            if not self.dies_in:
                self.is_dead = True
                raise apsw.IOError("the process dies here")
        if self.error_in:
            self.error_in -= 1
            if not self.error_in:
                self.errors += 1
                raise apsw.IOError("made to fail")

    def left(self, name: str, path: Path, rng: random.Random, *, has_power: bool) -> bytes:
        """Give what is left of a file: all of it after a kill, what was synced and a choice of the rest else."""
        content = bytearray(path.read_bytes()) if path.exists() else bytearray()
        if has_power:
            return bytes(content)
        pending = self.unsynced.get(name, [])
        for write in reversed(pending):
            content[write.offset : write.offset + len(write.before)] = write.before
            del content[write.size_before :]
        kept = [write for write in pending if rng.random() < 0.5]
        for place, write in enumerate(kept):
            new = write.content
            if place + 1 == len(kept) and rng.random() < 0.5:
                new = new[: rng.randrange(len(new) // SECTOR + 1) * SECTOR]
            if len(content) < write.offset:
                content.extend(bytes(write.offset - len(content)))
            content[write.offset : write.offset + len(new)] = new
        return bytes(content)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, filename: Any, flags: list[int]) -> None:
        self._disk = disk
        path = filename.filename() if isinstance(filename, apsw.URIFilename) else str(filename)
        self._name = Path(path).name
        super().__init__("", filename, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.touch()
        size = self.xFileSize()
        before = self.xRead(min(len(data), max(size - offset, 0)), offset) if offset < size else b""
        self._disk.unsynced.setdefault(self._name, []).append(Write(offset, bytes(data), before, size))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.touch()
        size = self.xFileSize()
        if newsize < size:
            cut = self.xRead(size - newsize, newsize)
            self._disk.unsynced.setdefault(self._name, []).append(Write(newsize, b"", cut, size))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        del flags
        self._disk.touch()
        # What the kernel holds is all that a simulated disk needs.
        self._disk.unsynced.pop(self._name, None)


class _Vfs(apsw.VFS):
    def __init__(self) -> None:
        self.disk = Disk()
        super().__init__(VFS_NAME, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _File(self.disk, name, flags)


class Drive:
    """Where a simulation finds its disk, which is a new one after each crash."""

    def __init__(self, vfs: _Vfs) -> None:
        self._vfs = vfs

    @property
    def disk(self) -> Disk:
        """The present disk."""
        return self._vfs.disk

    def replace(self) -> None:
        """Put in a new one: what files hold at this moment is on it."""
        self._vfs.disk = Disk()


@contextmanager
def simulated_disk() -> Iterator[Drive]:
    """Register the VFS for as long as simulations take."""
    vfs = _Vfs()
    try:
        yield Drive(vfs)
    finally:
        vfs.unregister()
