"""The codec that the engine process is given: every method's bytes to commands and answers to bytes.

Promises that a request that can't be parsed is the caller's error, named as such, and that an error always becomes a
status with details.
"""

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError

from service.domain.book import Answered
from service.domain.errors import AnswerTooLarge, HoldlineError, StoreUnavailable
from service.engine.clock import ClockDesk
from service.engine.desks.feedback import FeedbackDesk
from service.engine.desks.limits import LimitDesk
from service.engine.desks.operations import OperationDesk
from service.engine.desks.outbox import OutboxDesk
from service.engine.desks.playbooks import PlaybookDesk
from service.engine.desks.policies import PolicyDesk
from service.engine.desks.reports import ReportDesk
from service.engine.desks.runs import RunDesk
from service.engine.ports.calendar import Calendar
from service.engine.ports.codec import Answer, Call, Work
from service.engine.ports.store import Store
from service.rpc import pages
from service.rpc.accounts import AccountCalls
from service.rpc.draws import PATHS as DRAWS
from service.rpc.draws import DrawCalls
from service.rpc.events import PATHS as EVENTS
from service.rpc.events import EventCalls
from service.rpc.feedback import FeedbackCalls
from service.rpc.limits import PATHS as LIMITS
from service.rpc.limits import LimitCalls
from service.rpc.methods import METHODS, REPORT, Shape
from service.rpc.notifications import NotificationCalls
from service.rpc.operations import OperationCalls
from service.rpc.playbooks import PlaybookCalls
from service.rpc.policies import PolicyCalls
from service.rpc.runs import RunCalls
from service.rpc.status import status_of, unreadable

_DECIDING = (Shape.DECISION, Shape.BATCH, Shape.STREAM)
_ANSWERED_ELSEWHERE = (*_DECIDING, Shape.SENTRY)
"""What is no query of ours: it is decided, or the sentry's codec answers it."""


class ProtoCodec:
    """Translates for the methods of `rpc.methods`."""

    def __init__(
        self,
        desk: LimitDesk,
        policy_desk: PolicyDesk,
        playbooks: PlaybookDesk,
        reports: ReportDesk,
        runs: RunDesk,
        outbox: OutboxDesk,
        feedback: FeedbackDesk,
        calendar: Calendar,
        clock: ClockDesk,
        operations: OperationDesk,
    ) -> None:
        limits, draws, events = LimitCalls(desk), DrawCalls(desk), EventCalls(calendar)
        policies = PolicyCalls(policy_desk)
        queries = {
            **limits.queries,
            **AccountCalls(desk).queries,
            **draws.queries,
            **policies.queries,
            **PlaybookCalls(playbooks, clock).queries,
            **RunCalls(runs).queries,
            **NotificationCalls(outbox).queries,
            **FeedbackCalls(feedback).queries,
            **OperationCalls(operations).queries,
        }
        queries[METHODS[REPORT].path] = lambda call: reports.answer(call.body)
        callees: dict[str, LimitCalls | DrawCalls | EventCalls] = {
            **dict.fromkeys(LIMITS, limits), **dict.fromkeys(DRAWS, draws), **dict.fromkeys(EVENTS, events),
        }  # fmt: skip
        checks = policies.checks
        # Whatever has nobody to answer it ends the start, not a call.
        self._deciding = {
            index: (callees[method.path], method.path)
            for index, method in enumerate(METHODS) if method.shape in _DECIDING
        }  # fmt: skip
        self._queries = {
            index: queries[method.path]
            for index, method in enumerate(METHODS)
            if method.shape not in _ANSWERED_ELSEWHERE
        }
        self._checks = {
            index: checks[method.path] for index, method in enumerate(METHODS) if method.shape is Shape.CHECKED
        }

    def is_decision(self, method: int) -> bool:
        """Claim that a method makes decisions or postings, and so joins a batch."""
        return method in self._deciding

    def work(self, call: Call) -> Work:
        """Build a call's commands; raises InvalidRequest."""
        try:
            callee, path = self._deciding[call.method]
            return callee.work(path, call)
        except DecodeError as error:
            raise unreadable() from error

    def answer(self, call: Call, work: Work, answers: Sequence[Answered | HoldlineError]) -> Answer:
        """Assemble the answer of a call that decides."""
        try:
            callee, path = self._deciding[call.method]
            return self._bounded(call, callee.response(path, work, answers))
        except HoldlineError as error:
            return self.error(error)

    def query(self, call: Call) -> Answer:
        """Answer any other call."""
        return self._queried(call, self._queries[call.method])

    def check(self, call: Call) -> Answer:
        """Check a call that the engine is to answer; gives what it is asked in its place."""
        return self._queried(call, self._checks[call.method])

    def _queried(self, call: Call, ask: Callable[[Call], bytes]) -> Answer:
        try:
            return self._bounded(call, ask(call))
        except DecodeError:
            return self.error(unreadable())
        except HoldlineError as error:
            return self.error(error)

    def _bounded(self, call: Call, body: bytes) -> Answer:
        if len(body) > pages.ANSWER_BYTES_MAX and METHODS[call.method].shape is not Shape.INTERNAL:
            return self.error(AnswerTooLarge(bytes=str(len(body)), bytes_max=str(pages.ANSWER_BYTES_MAX)))
        return Answer(0, body)

    def error(self, error: HoldlineError) -> Answer:
        """Give an error as an answer."""
        status = status_of(error)
        return Answer(status.code, status.SerializeToString())


class ReadingCodec:
    """The same for a process that only reads: each query sees the store as of one moment."""

    def __init__(self, codec: ProtoCodec, store: Store) -> None:
        self._codec = codec
        self._store = store

    def query(self, call: Call) -> Answer:
        """Answer a call, or check one that the engine is to answer."""
        try:
            with self._store.snapshot():
                if METHODS[call.method].shape is Shape.CHECKED:
                    return self._codec.check(call)
                return self._codec.query(call)
        except StoreUnavailable as error:
            return self.error(error)

    def error(self, error: HoldlineError) -> Answer:
        """Give an error as an answer."""
        return self._codec.error(error)
