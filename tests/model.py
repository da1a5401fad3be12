"""The obvious model of exactly once: a dictionary of answers by key, and of versions by account."""

from dataclasses import dataclass, field


@dataclass
class Model:
    """What an account's callers may rely on, said in the fewest words."""

    answers: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    """Key to fingerprint and decision number, as first acknowledged."""
    versions: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    decisions: int = 0
