"""OperationService: operations by their names, in one form.

Promises the four moves of an adapter: check, build, call, assemble.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from holdline.v1 import operation_service_pb2 as pb
from holdline.v1.actor_pb2 import Actor

from service.domain.book import key_of
from service.domain.daily_run import RunReport
from service.domain.days import iso
from service.domain.errors import InvalidRequest, Violation
from service.domain.operation import Operation, OperationKind, OperationState
from service.engine.acts import Order
from service.engine.desks.operations import OperationDesk, Place
from service.engine.desks.run_reads import LAST_DAY
from service.engine.ports.codec import Call
from service.rpc import commands, fields, pages
from service.rpc.dates import business_day
from service.rpc.methods import OPERATIONS
from service.rpc.pages import timestamp
from service.rpc.runs import closing_message, run_message

WATCH: Final = f"{OPERATIONS}WatchOperation"
LIST_OPERATIONS: Final = f"{OPERATIONS}ListOperations"

_WORDS: Final = {"run": OperationKind.DAILY_RUN, "closing": OperationKind.CLOSING, "make-good": OperationKind.MAKE_GOOD}
_WORD_OF: Final = {kind: word for word, kind in _WORDS.items()}
_KINDS: Final = {int(kind): kind for kind in OperationKind}
_STATES: Final = {int(state): state for state in OperationState}
_OVER: Final = (pb.OPERATION_STATE_DONE, pb.OPERATION_STATE_CANCELLED, pb.OPERATION_STATE_FAILED)
_WRONG: Final = Violation("operation_id", "send the id of an operation, as ListOperations gives it")
_read_name: Final = re.compile(rf"({'|'.join(_WORDS)})-([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})").fullmatch


class Named(NamedTuple):
    """What an operation's name says."""

    kind: OperationKind
    business_day: int


class OperationCalls:
    """The calls of OperationService, in bytes."""

    def __init__(self, desk: OperationDesk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            f"{OPERATIONS}GetOperation": self._get,
            LIST_OPERATIONS: self._list,
            WATCH: self._watch,
            f"{OPERATIONS}CancelOperation": self._cancel,
        }

    def _get(self, call: Call) -> bytes:
        request = pb.GetOperationRequest.FromString(call.body)
        found = self._desk.operation(request.operation_id, *_named(request.operation_id, []))
        return pb.GetOperationResponse(operation=_operation(found)).SerializeToString()

    def _list(self, call: Call) -> bytes:
        request = pb.ListOperationsRequest.FromString(call.body)
        wrong = pages.size_violations(request.page_size)
        kinds = pages.chosen("kinds", request.kinds, _KINDS, wrong)
        states = pages.chosen("states", request.states, _STATES, wrong)
        wrong += pages.token_violations(LIST_OPERATIONS, (kinds, states), request.page_token)
        fields.refuse(wrong)
        before = Place(LAST_DAY, 0)
        if request.page_token:
            kind, day = _named(pages.last_shown(request.page_token), [], "page_token")
            before = Place(day, kind)
        size = request.page_size or pages.PAGE_SIZE
        found = self._desk.operations(kinds, states, before, size)
        shown = pages.fitting(map(_operation, found), pb.Operation.ByteSize)
        is_cut = pages.has_more(shown, found, size)
        token = pages.token(LIST_OPERATIONS, (kinds, states), shown[-1].id) if is_cut else ""
        return pb.ListOperationsResponse(operations=shown, next_page_token=token).SerializeToString()

    def _watch(self, call: Call) -> bytes:
        """Answer one look of a watch: the operation, empty where it is at work and nothing is new since the token."""
        request = pb.WatchOperationRequest.FromString(call.body)
        named = _named(request.operation_id, [])
        pages.check_resume(WATCH, request.operation_id, request.resume_token)
        found = self._desk.operation(request.operation_id, *named)
        operation = _operation(found)
        token = pages.token(WATCH, request.operation_id, f"{int(found.state)}:{found.done}:{found.total}")
        # A stream ends with the answer that it is over; who comes back with that one's token is told again.
        if token == request.resume_token and operation.state not in _OVER:
            return b""
        return pb.WatchOperationResponse(operation=operation, resume_token=token).SerializeToString()

    def _cancel(self, call: Call) -> bytes:
        request = pb.CancelOperationRequest.FromString(call.body)
        wrong = [
            *fields.request_id_violations(request.request_id),
            *fields.reason_violations(request.reason),
        ]
        kind, day = _named(request.operation_id, wrong)
        action, name = "cancel_operation", request.operation_id
        key, seal = key_of(call.caller, request.request_id), commands.fingerprint(action, name, request.reason)
        found, replayed = self._desk.cancel(name, kind, Order(action, key, seal, call.caller, request.reason, day))
        return pb.CancelOperationResponse(operation=_operation(found), replayed=replayed).SerializeToString()


def next_watch(request: bytes, answer: bytes) -> bytes | None:
    """Give the request that goes on watching after an answer, nothing where the operation is over."""
    seen = pb.WatchOperationResponse.FromString(answer)
    if seen.operation.state in _OVER:
        return None
    asked = pb.WatchOperationRequest.FromString(request)
    asked.resume_token = seen.resume_token
    return asked.SerializeToString()


def _named(name: str, violations: list[Violation], field: str = "operation_id") -> Named:
    """Read an operation's name; raises InvalidRequest, with the violations found so far."""
    parts = _read_name(name)
    day = 0
    try:
        if parts is not None:
            day = business_day(parts[2])
    except InvalidRequest:
        parts = None
    if parts is None:
        violations = [*violations, _WRONG if field == _WRONG.field else pages.WRONG_TOKEN]
    fields.refuse(violations)
    assert parts is not None, "a name that is none was refused"
    return Named(_WORDS[parts[1]], day)


def _operation(found: Operation) -> pb.Operation:
    return pb.Operation(
        id=f"{_WORD_OF[found.kind]}-{iso(found.business_day)}",
        kind=pb.OperationKind.ValueType(found.kind),
        state=pb.OperationState.ValueType(found.state),
        done=found.done,
        total=found.total or None,
        started_by=Actor(caller=found.started_by) if found.started_by else None,
        started_at=timestamp(found.started_us),
        ended_at=timestamp(found.ended_us),
        daily_run=run_message(found.result) if isinstance(found.result, RunReport) else None,
        closing=None if isinstance(found.result, RunReport) else closing_message(found.result),
    )
