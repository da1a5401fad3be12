"""What the engine needs of others: a store, a clock, a codec, a reader of policies."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from service.domain.account import Account
from service.domain.book import Book
from service.domain.decision import DecideCommand, Decided
from service.domain.errors import HoldlineError
from service.domain.policy import Policy
from service.domain.policy_life import PolicyChange, PolicyRecord


class Call(NamedTuple):
    """One call as a gateway passes it on; the deadline in microseconds of the machine's monotonic clock."""

    method: int
    caller: str
    deadline_us: int
    trace_id: str
    body: bytes


class Answer(NamedTuple):
    """A gRPC status code, and the response or, where the code is not 0, a google.rpc.Status; both as bytes."""

    code: int
    body: bytes


class ControlRow(NamedTuple):
    """What every batch reads first: the count of policy changes, and the newest decision's number."""

    generation: int
    last_number: int


class Work(NamedTuple):
    """A call's decisions to make and their request ids; a HoldlineError stands for a request that was refused."""

    commands: list[DecideCommand | HoldlineError]
    request_ids: list[str]


class Sealed(NamedTuple):
    """A recorded decision, whether its content agrees with its link of the account's hash chain, and that link."""

    decided: Decided
    is_intact: bool
    link: bytes


class Store(Protocol):
    """The durable truth. Everything between `begin` and `commit` is one transaction.

    Each method raises StoreUnavailable when the store is out of reach; nothing of the transaction remains then.
    """

    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def control(self) -> ControlRow: ...
    def fetch(self, keys: Sequence[str], account_ids: Sequence[str], last_number: int) -> Book: ...
    def write(self, book: Book) -> None: ...
    def account(self, account_id: str) -> Account | None: ...
    def decision(self, number: int) -> Decided | None: ...
    def account_decisions(self, account_id: str, before: int, count: int) -> list[Decided]: ...
    def active_versions(self) -> dict[str, str]: ...
    def policy(self, version: str) -> PolicyRecord | None: ...
    def policies(self) -> list[PolicyRecord]: ...
    def policy_change(self, key: str) -> PolicyChange | None: ...
    def write_policies(self, records: Sequence[PolicyRecord], change: PolicyChange) -> None: ...
    def purge(self, before_us: int, count: int) -> int: ...
    def close(self) -> None: ...


class Ledger(Protocol):
    """A store read from end to end, for verification and replay; one consistent snapshot."""

    def accounts(self) -> Iterator[Account]: ...
    def sealed(self, number: int) -> Sealed | None: ...
    def sealed_all(self) -> Iterator[Sealed]: ...
    def decision_count(self) -> int: ...
    def keys_without_decision(self) -> int: ...
    def damage(self) -> list[str]: ...
    def policy(self, version: str) -> PolicyRecord | None: ...


class Clock(Protocol):
    """Time from outside: now in microseconds since the epoch UTC, and its business day (days since 1970-01-01)."""

    def now_us(self) -> int: ...
    def business_day(self, now_us: int) -> int: ...


class PolicyReader(Protocol):
    """Compiles a document; raises InvalidRequest with every violation."""

    def __call__(self, document: str) -> tuple[Policy, str]: ...


class Codec(Protocol):
    """Translates between a gateway's bytes and the domain; raises HoldlineError for what can't be translated."""

    def is_decision(self, method: int) -> bool: ...
    def work(self, call: Call) -> Work: ...
    def answer(self, call: Call, work: Work, answers: Sequence[Decided | HoldlineError]) -> Answer: ...
    def query(self, call: Call) -> Answer: ...
    def error(self, error: HoldlineError) -> Answer: ...
