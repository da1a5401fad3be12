"""From an error of the domain to a gRPC status with google.rpc details: one table.

Promises that every error carries `ErrorInfo`, that violations become `BadRequest`, and that what is worth retrying
carries `RetryInfo`.
"""

from typing import Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from service.domain import errors

DOMAIN: Final = "holdline"

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


def status_of(error: errors.HoldlineError) -> status_pb2.Status:
    """Give an error as google.rpc.Status with its details."""
    details: list[any_pb2.Any] = []

    def add(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> None:
        packed = any_pb2.Any()
        packed.Pack(message)
        details.append(packed)

    add(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))
    if isinstance(error, errors.InvalidRequest):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in error.violations
        ]
        add(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after_ms:
        seconds, rest_ms = divmod(error.retry_after_ms, 1_000)
        delay = duration_pb2.Duration(seconds=seconds, nanos=rest_ms * 1_000_000)
        add(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=code_of(error).value[0], message=error.message, details=details)


def parse(body: bytes) -> tuple[grpc.StatusCode, str]:
    """Give code and message of a serialised google.rpc.Status."""
    status = status_pb2.Status.FromString(body)
    return CODE_BY_NUMBER[status.code], status.message


CODE_BY_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}
