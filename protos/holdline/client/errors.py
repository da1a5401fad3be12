"""What a call can meet, by what the caller can do about it.

HoldlineError
├── InvalidRequest       mend the fields in `violations`
├── NotFound             mend the name
├── AlreadyExists        it stands already; ask for something else
│   └── KeyReused        a bug of the caller: a new request needs a new request id
├── VersionMismatch      read the account, decide again
├── Refused              retrying unchanged won't help
├── PermissionDenied     ask for the role
├── Unavailable          the client has retried within its budget; retry later with the same request id
│   └── Overloaded       as Unavailable; `retry_after_seconds` says how long to wait
├── DeadlineExceeded     outcome unknown; a retry with the same request id learns it
└── InternalError        a bug of the server; its log has the trace
"""

from typing import NamedTuple, cast

import grpc
from google.rpc import error_details_pb2, status_pb2


class Violation(NamedTuple):
    """One field at fault: its path in the request, and what is wrong with the way out."""

    field: str
    description: str


class HoldlineError(Exception):
    """A call ended without an answer; `reason` is that of google.rpc.ErrorInfo, empty where the server sent none."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: dict[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after_seconds: float = 0.0,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = metadata or {}
        self.violations = violations
        self.retry_after_seconds = retry_after_seconds
        self.request_id = request_id
        """The idempotency key of the write that failed, for a later retry; empty for reads."""


class InvalidRequest(HoldlineError):
    """A field is wrong."""


class NotFound(HoldlineError):
    """No such account, decision or policy."""


class AlreadyExists(HoldlineError):
    """It stands already."""


class KeyReused(AlreadyExists):
    """The request id was used for another request."""


class VersionMismatch(HoldlineError):
    """The account is not at the expected version."""


class Refused(HoldlineError):
    """The state of things rules this out."""


class PermissionDenied(HoldlineError):
    """The caller has no identity, or not the role."""


class Unavailable(HoldlineError):
    """The server could not be reached or could not write; nothing was decided unless a retry says otherwise."""


class Overloaded(Unavailable):
    """The server shed the call; nothing was written."""


class DeadlineExceeded(HoldlineError):
    """No answer came in time; whether the decision was made, a retry with the same request id learns."""


class InternalError(HoldlineError):
    """The server met a bug."""


_BY_CODE: dict[int, type[HoldlineError]] = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: InvalidRequest,
    grpc.StatusCode.NOT_FOUND.value[0]: NotFound,
    grpc.StatusCode.ALREADY_EXISTS.value[0]: AlreadyExists,
    grpc.StatusCode.ABORTED.value[0]: VersionMismatch,
    grpc.StatusCode.FAILED_PRECONDITION.value[0]: Refused,
    grpc.StatusCode.UNAUTHENTICATED.value[0]: PermissionDenied,
    grpc.StatusCode.PERMISSION_DENIED.value[0]: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: Overloaded,
    grpc.StatusCode.UNAVAILABLE.value[0]: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED.value[0]: DeadlineExceeded,
}


def from_status(status: status_pb2.Status, request_id: str = "") -> HoldlineError:
    """Give the typed error of a google.rpc.Status."""
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for message in (info, bad_request, retry):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    kind = _BY_CODE.get(status.code, InternalError)
    if kind is Overloaded and not retry.HasField("retry_delay"):
        # Whoever sheds a call says when to come back; without that it is a message that no retry makes smaller.
        kind = InvalidRequest
    if info.reason == "IDEMPOTENCY_KEY_REUSED":
        kind = KeyReused
    return kind(
        status.message,
        reason=info.reason,
        metadata=dict(info.metadata),
        violations=tuple(Violation(entry.field, entry.description) for entry in bad_request.field_violations),
        retry_after_seconds=retry.retry_delay.ToMilliseconds() / 1_000,
        request_id=request_id,
    )


def from_rpc(error: grpc.RpcError, request_id: str = "") -> HoldlineError:
    """Give the typed error of a failed call, from its trailing metadata where the server sent details."""
    for datum in error.trailing_metadata() or ():
        key, value = cast("tuple[str, bytes]", datum)
        if key == "grpc-status-details-bin":
            return from_status(status_pb2.Status.FromString(value), request_id)
    code = error.code()
    return from_status(status_pb2.Status(code=code.value[0], message=error.details() or code.name), request_id)
