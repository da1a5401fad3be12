"""What a caller imports: `Client`, `AsyncClient`, and the errors they raise.

Needs grpcio, protobuf and tenacity; nothing of the server.
"""

from holdline.client.aio import AsyncClient
from holdline.client.blocking import Client
from holdline.client.draw_client import is_declined
from holdline.client.errors import (
    AlreadyExists,
    DeadlineExceeded,
    HoldlineError,
    InternalError,
    InvalidRequest,
    KeyReused,
    NotFound,
    Overloaded,
    PermissionDenied,
    Refused,
    Unavailable,
    VersionMismatch,
    Violation,
)
from holdline.client.requests import decide, in_language, money, new_request_id
from holdline.client.retry import Budget, Retry

__all__ = [
    "AlreadyExists",
    "AsyncClient",
    "Budget",
    "Client",
    "DeadlineExceeded",
    "HoldlineError",
    "InternalError",
    "InvalidRequest",
    "KeyReused",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "Refused",
    "Retry",
    "Unavailable",
    "VersionMismatch",
    "Violation",
    "decide",
    "in_language",
    "is_declined",
    "money",
    "new_request_id",
]
