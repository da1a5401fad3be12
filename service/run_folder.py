"""The folder of a server's sockets, which nobody else may enter and which does not outlive the server.

Promises to be gone after an end in order, after a kill of the supervisor (its processes remove it when their lifeline
is cut), and after a kill of all of them with the next start: a folder whose lock nobody holds is no server's.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

PREFIX: Final = "holdline-run-"
_LOCK: Final = "lock"


class RunFolder:
    """A folder of its own, held by a lock for as long as the process lives."""

    def __init__(self) -> None:
        """Make the folder, after removing what killed servers of this user left."""
        _remove_left_behind()
        # Under a name that nobody looks for until the lock is held.
        made = Path(tempfile.mkdtemp(prefix="holdline-new-"))
        self._lock = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = made.with_name(made.name.replace("holdline-new-", PREFIX))
        made.rename(self.path)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_left_behind() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
