"""What this build is made of: hashes that tell two builds apart.

Promises that two engines whose decisions could differ report different hashes.
"""

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent
DIGITS: Final = 16


class Build(NamedTuple):
    """Hashes of the code that decides, of the policy compiler and of the playbooks, 16 hexadecimal digits each."""

    build: str
    policy_compiler: str
    playbooks: str


@cache
def this(playbooks_hash: str) -> Build:
    """Give this build's hashes, the playbooks' as their registry gives it."""
    return Build(
        _hash(path for folder in ("domain", "engine", "storage", "rpc") for path in (ROOT / folder).rglob("*.py")),
        _hash((ROOT / "policies").glob("*.py")),
        playbooks_hash[:DIGITS],
    )


def _hash(paths: Iterable[Path]) -> str:
    content = sha256()
    for path in sorted(paths):
        content.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return content.hexdigest()[:DIGITS]
