"""What a killed process leaves of a store: its files as they are, which a close would tidy up first."""

import shutil
from pathlib import Path


def left_by_a_kill(path: Path, target: Path) -> Path:
    """Copy a store's files as they are into a new folder, and give the copy's path."""
    target.mkdir()
    for name in (path.name, f"{path.name}-wal"):
        shutil.copy(path.parent / name, target / name)
    return target / path.name
