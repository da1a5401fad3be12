"""What every part of the synchronous client stands on: one channel, and calls with retries within one deadline.

Promises the same request id on each try, deadlines passed on to the server, and typed errors.
"""

import random
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self, TypeVar

import grpc
import tenacity

from holdline.client import errors, requests
from holdline.client.retry import Budget, Retry, arguments
from holdline.v1 import account_service_pb2_grpc as accounts_grpc
from holdline.v1 import draw_service_pb2_grpc as draws_grpc
from holdline.v1 import event_service_pb2_grpc as events_grpc
from holdline.v1 import feedback_service_pb2_grpc as feedback_grpc
from holdline.v1 import limit_service_pb2_grpc as limits_grpc
from holdline.v1 import notification_service_pb2_grpc as notifications_grpc
from holdline.v1 import operation_service_pb2_grpc as operations_grpc
from holdline.v1 import playbook_service_pb2_grpc as playbooks_grpc
from holdline.v1 import policy_service_pb2_grpc as policies_grpc
from holdline.v1 import run_service_pb2_grpc as runs_grpc

Response = TypeVar("Response")
TIMEOUT_SECONDS = 5.0


class Paged(Protocol):
    """A request for a page."""

    page_token: str


class Page(Protocol):
    """A page that names the next one."""

    next_page_token: str


PageT = TypeVar("PageT", bound=Page)


class Caller:
    """Calls Holdline over one channel.

    `caller` names this service (its idempotency keys are its own); `timeout_seconds` bounds a call with all its
    retries; `is_batch` marks calls that may be shed first.
    """

    def __init__(
        self,
        target: str,
        *,
        caller: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
        budget: Budget | None = None,
        is_batch: bool = False,
    ) -> None:
        self._channel = grpc.insecure_channel(target, options=requests.CHANNEL_OPTIONS)
        self._limits = limits_grpc.LimitServiceStub(self._channel)
        self._accounts = accounts_grpc.AccountServiceStub(self._channel)
        self._draws = draws_grpc.DrawServiceStub(self._channel)
        self._events = events_grpc.EventServiceStub(self._channel)
        self._policies = policies_grpc.PolicyServiceStub(self._channel)
        self._playbooks = playbooks_grpc.PlaybookServiceStub(self._channel)
        self._runs = runs_grpc.RunServiceStub(self._channel)
        self._feedback = feedback_grpc.FeedbackServiceStub(self._channel)
        self._notifications = notifications_grpc.NotificationServiceStub(self._channel)
        self._operations = operations_grpc.OperationServiceStub(self._channel)
        self._metadata = requests.metadata(caller, is_batch=is_batch)
        self._timeout_seconds = timeout_seconds
        self._retry = retry or Retry()
        self._budget = budget or Budget()
        self._rng = random.Random()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _pages(self, method: Callable[..., PageT], request: Paged) -> Iterator[PageT]:
        """Call for one page after the other, until the last."""
        while True:
            page = self._call(method, request, "")
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _call(self, method: Callable[..., Response], request: object, request_id: str) -> Response:
        """Call with retries, the same request on each try, all within one deadline."""
        give_up_at = time.monotonic() + self._timeout_seconds

        def remaining_seconds() -> float:
            return give_up_at - time.monotonic()

        def attempt() -> Response:
            try:
                return method(request, timeout=max(remaining_seconds(), 0.001), metadata=self._metadata)
            except grpc.RpcError as error:
                raise errors.from_rpc(error, request_id) from error

        self._budget.earn()
        retrying = tenacity.Retrying(**arguments(self._retry, self._budget, remaining_seconds, self._rng))
        return retrying(attempt)
