"""From an error of the domain to a gRPC status with google.rpc details: one table.

Promises that every error carries `ErrorInfo`, that violations become `BadRequest`, and that what is worth retrying
carries `RetryInfo`. A status is bounded whatever is wrong and however much: where trailers grow too large, the caller's
library answers RESOURCE_EXHAUSTED in place of what was said, and he would retry what can never succeed.
"""

from collections.abc import Iterable
from typing import Final

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from service.domain import errors

DOMAIN: Final = "holdline"
STATUS_BYTES_MAX: Final = 3_584
"""Largest status. As trailer (a third more in base64) it stays, with the message again in percent encoding (three bytes
for each that is not ASCII), under the 8 KiB from which on clients may refuse trailers."""
ITEM_STATUS_BYTES_MAX: Final = 1_536
"""Largest status of one item in a batch: of a thousand, an answer that clients take."""
MESSAGE_BYTES_MAX: Final = 768
FIELD_BYTES_MAX: Final = 256
"""Longest path, value of metadata, and description is clipped to so many bytes of UTF-8."""

_CODES: Final[dict[type[errors.HoldlineError], grpc.StatusCode]] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.RequestTooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.VersionMismatch: grpc.StatusCode.ABORTED,
    errors.Refused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RoleRequired: grpc.StatusCode.PERMISSION_DENIED,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExpired: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.InternalError: grpc.StatusCode.INTERNAL,
}


def code_of(error: errors.HoldlineError) -> grpc.StatusCode:
    """Give the status code of an error: its class's, or the nearest ancestor's in the table."""
    return next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)


def status_of(error: errors.HoldlineError, bytes_max: int = STATUS_BYTES_MAX) -> status_pb2.Status:
    """Give an error as google.rpc.Status with its details, of its violations as many of the first as `bytes_max` holds.

    How many there are in all stands in the metadata.
    """
    metadata = {key: clipped(value, FIELD_BYTES_MAX) for key, value in error.metadata.items()}
    status = status_pb2.Status(code=code_of(error).value[0], message=clipped(error.message, MESSAGE_BYTES_MAX))
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    if error.retry_after_ms:
        seconds, rest_ms = divmod(error.retry_after_ms, 1_000)
        delay = duration_pb2.Duration(seconds=seconds, nanos=rest_ms * 1_000_000)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(error, errors.InvalidRequest):
        room = bytes_max - status.ByteSize() - _BAD_REQUEST_OVERHEAD
        status.details.add().Pack(_bad_request(error.violations, room))
    return status


_BAD_REQUEST_OVERHEAD: Final = 64
"""What the name of the type and the lengths around it take."""


def _bad_request(violations: Iterable[errors.Violation], room: int) -> error_details_pb2.BadRequest:
    """Write the first violations that have room, the very first in any case."""
    found = error_details_pb2.BadRequest()
    for violation in violations:
        written = error_details_pb2.BadRequest.FieldViolation(
            field=clipped(violation.field, FIELD_BYTES_MAX), description=clipped(violation.description, FIELD_BYTES_MAX)
        )
        # A tag and a length stand before each.
        room -= written.ByteSize() + 3
        if room < 0 and found.field_violations:
            break
        found.field_violations.append(written)
    return found


def clipped(text: str, bytes_max: int) -> str:
    """Cut a text to so many bytes of UTF-8, between two characters."""
    written = text.encode(errors="replace")
    if len(written) <= bytes_max:
        return written.decode()
    return written[: bytes_max - len(_CUT)].decode(errors="ignore") + _CUT.decode()


_CUT: Final = "…".encode()


def named(name: str) -> bytes:
    """Give an id as an item's result repeats it; one that is far too long is cut, so that it can't fill the answer."""
    return clipped(name, FIELD_BYTES_MAX).encode()


def unreadable() -> errors.InvalidRequest:
    """Give the error for bytes that are no message."""
    what = "the message is not readable as this request; compare the protos"
    return errors.InvalidRequest((errors.Violation("request", what),))


def parse(body: bytes) -> tuple[grpc.StatusCode, str]:
    """Give code and message of a serialised google.rpc.Status."""
    status = status_pb2.Status.FromString(body)
    return CODE_BY_NUMBER[status.code], status.message


CODE_BY_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}
