"""Files that hold what is known of people: their owner alone reads and writes them.

Promises mode 0600 whatever the umask, also of a file that was there before and open to others.
"""

import contextlib
import os
import stat
from pathlib import Path


def opener(path: str, flags: int) -> int:
    """Open a file for its owner alone; for the built-in `open`. Pipes and devices stay as they are."""
    descriptor = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        # Another user's file: its owner decides who reads it.
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, 0o600)
    return descriptor


def write(path: Path, text: str) -> None:
    """Write a text into a file; raises OSError."""
    with open(path, "w", encoding="utf-8", opener=opener) as file:
        file.write(text)
