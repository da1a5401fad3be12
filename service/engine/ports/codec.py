"""What passes between the engine and its codec: a gateway's call, the work that it asks for, the answer."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from service.domain.book import Answered, Command
from service.domain.decision import Criticality
from service.domain.errors import HoldlineError


class Call(NamedTuple):
    """One call as a gateway passes it on; the deadline in microseconds of the machine's monotonic clock."""

    method: int
    caller: str
    deadline_us: int
    trace_id: str
    body: bytes
    criticality: int = int(Criticality.INTERACTIVE)


class Answer(NamedTuple):
    """A gRPC status code, and the response or, where the code is not 0, a google.rpc.Status; both as bytes."""

    code: int
    body: bytes


class Work(NamedTuple):
    """A call's commands and their request ids; a HoldlineError stands for a request that was refused."""

    commands: list[Command | HoldlineError]
    request_ids: list[str]
    asides: Sequence[Any] = ()
    """What the codec wants back with each command's answer, for the engine to carry; empty where nothing."""


class Codec(Protocol):
    """Translates between a gateway's bytes and the domain; raises HoldlineError for what can't be translated."""

    def is_decision(self, method: int) -> bool: ...
    def work(self, call: Call) -> Work: ...
    def answer(self, call: Call, work: Work, answers: Sequence[Answered | HoldlineError]) -> Answer: ...
    def query(self, call: Call) -> Answer: ...
    def error(self, error: HoldlineError) -> Answer: ...


class Asks(Protocol):
    """The engine as another process asks it, one call at a time; raises EngineUnavailable."""

    def ask(self, method: int, caller: str, body: bytes) -> Answer: ...
