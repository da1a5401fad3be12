"""A store read from end to end, for verification and replay."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from service.domain.account import Account
from service.domain.decision import Decided
from service.domain.draw import Hold, Posting
from service.domain.policy_life import PolicyRecord
from service.engine.ports.playbooks import PlaybookStore
from service.engine.ports.runs import RunStore


class Unreadable(Exception):
    """A record's bytes are none that were ever written; the message names the record."""


class Sealed(NamedTuple):
    """A recorded decision, whether its content agrees with its link of the account's hash chain, and that link."""

    decided: Decided
    is_intact: bool
    link: bytes


class SealedPosting(NamedTuple):
    """A recorded posting, whether its content agrees with its link of the account's chain, and that link."""

    posting: Posting
    is_intact: bool
    link: bytes


class Ledger(Protocol):
    """A store read from end to end, for verification and replay; one consistent snapshot.

    What reads records raises Unreadable for one that was altered beyond recognition, and goes on with the next.
    """

    def accounts(self) -> Iterator[Account]: ...
    def sealed(self, number: int) -> Sealed | None: ...
    def sealed_all(self) -> Iterator[Sealed]: ...
    def decision_count(self) -> int: ...
    def sealed_posting(self, number: int) -> SealedPosting | None: ...
    def posting_count(self) -> int: ...
    def hold(self, account_id: str, number: int) -> Hold | None: ...
    def holds_open(self, account_id: str) -> list[Hold]: ...
    def keys_without_decision(self) -> int: ...
    def damage(self) -> list[str]: ...
    def policy(self, version: str) -> PolicyRecord | None: ...
    @property
    def playbooks(self) -> PlaybookStore: ...
    @property
    def runs(self) -> RunStore: ...
