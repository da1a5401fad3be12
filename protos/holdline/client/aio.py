"""The asynchronous client, for services on asyncio.

Promises what the synchronous one does: the same request id on each try, deadlines passed on, typed errors.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio
import tenacity

from holdline.client import errors, requests
from holdline.client.blocking import result_of
from holdline.client.caller import TIMEOUT_SECONDS
from holdline.client.retry import RESUME_SECONDS, Budget, Outage, Retry, arguments
from holdline.v1 import (
    account_pb2,
    account_service_pb2,
    decision_pb2,
    draw_pb2,
    event_pb2,
    event_service_pb2,
    money_pb2,
)
from holdline.v1 import account_service_pb2_grpc as accounts_grpc
from holdline.v1 import draw_service_pb2_grpc as draws_grpc
from holdline.v1 import event_service_pb2_grpc as events_grpc
from holdline.v1 import limit_service_pb2 as limits
from holdline.v1 import limit_service_pb2_grpc as limits_grpc
from holdline.v1 import playbook_service_pb2 as pb
from holdline.v1 import playbook_service_pb2_grpc as playbooks_grpc

Response = TypeVar("Response")


class AsyncClient:
    """Decides, draws and watches the mode over one channel, as `Client`, which analysts and on-call have."""

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
        self._channel = grpc.aio.insecure_channel(target, options=requests.CHANNEL_OPTIONS)
        self._limits: limits_grpc.LimitServiceAsyncStub = limits_grpc.LimitServiceStub(self._channel)
        self._accounts: accounts_grpc.AccountServiceAsyncStub = accounts_grpc.AccountServiceStub(self._channel)
        self._draws: draws_grpc.DrawServiceAsyncStub = draws_grpc.DrawServiceStub(self._channel)
        self._events: events_grpc.EventServiceAsyncStub = events_grpc.EventServiceStub(self._channel)
        self._playbooks: playbooks_grpc.PlaybookServiceAsyncStub = playbooks_grpc.PlaybookServiceStub(self._channel)
        self._metadata = requests.metadata(caller, is_batch=is_batch)
        self._timeout_seconds = timeout_seconds
        self._retry = retry or Retry()
        self._budget = budget or Budget()
        self._rng = random.Random()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def decide(self, account_id: str, kind: str | int, **arguments_of_decide: Any) -> limits.DecideResponse:
        """Make one durable decision; arguments as `requests.decide`. Raises HoldlineError."""
        return await self.send(requests.decide(account_id, kind, **arguments_of_decide))

    async def send(self, request: limits.DecideRequest) -> limits.DecideResponse:
        """Make one durable decision from a request that exists. Raises HoldlineError."""
        return await self._call(self._limits.Decide, request, request.request_id)

    async def batch(self, batch: Sequence[limits.DecideRequest]) -> list[limits.DecideResponse | errors.HoldlineError]:
        """Make up to 1,000 decisions with one commit; each with its answer or error. Raises HoldlineError."""
        response = await self._call(self._limits.BatchDecide, limits.BatchDecideRequest(requests=batch), "")
        return [result_of(result) for result in response.results]

    async def stream(
        self, batches: Iterable[Sequence[limits.DecideRequest]], timeout_seconds: float | None = None
    ) -> AsyncIterator[tuple[str, limits.DecideResponse | errors.HoldlineError]]:
        """Make decisions over one stream; gives request ids with answers or errors. Raises HoldlineError.

        A stream is not retried: send what is unanswered again, with the same request ids.
        """
        sent = (limits.StreamDecisionsRequest(requests=batch) for batch in batches)
        try:
            async for message in self._limits.StreamDecisions(sent, timeout=timeout_seconds, metadata=self._metadata):
                for result in message.results:
                    yield result.request_id, result_of(result)
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from error

    async def record_events(self, events: Sequence[event_pb2.Event]) -> list[event_pb2.EventResult]:
        """Take up to 1,000 events, as `requests.event` makes them; a result each, with its error. Raises HoldlineError.

        Send the same events again where an answer is missing: each counts once.
        """
        request = event_service_pb2.RecordEventsRequest(events=events)
        return list((await self._call(self._events.RecordEvents, request, "")).results)

    async def evaluate(self, account_id: str, kind: str | int, **arguments_of_evaluate: Any) -> limits.EvaluateResponse:
        """Compute a decision without writing; arguments as `requests.evaluate`. Raises HoldlineError."""
        return await self._call(self._limits.Evaluate, requests.evaluate(account_id, kind, **arguments_of_evaluate), "")

    async def account(self, account_id: str) -> account_pb2.Account:
        """Read an account. Raises HoldlineError."""
        request = account_service_pb2.GetAccountRequest(account_id=account_id)
        return (await self._call(self._accounts.GetAccount, request, "")).account

    async def decision(self, decision_id: str = "", *, request_id: str = "") -> decision_pb2.Decision:
        """Read a decision by its id, or by the request id it was made with. Raises HoldlineError."""
        return (await self._call(self._limits.GetDecision, requests.get_decision(decision_id, request_id), "")).decision

    async def decisions(
        self, account_id: str, page_size: int = 100, **filters: Any
    ) -> AsyncIterator[decision_pb2.Decision]:
        """Read an account's decisions, newest first; filters of ListDecisionsRequest. Raises HoldlineError."""
        token = ""
        while True:
            request = limits.ListDecisionsRequest(
                account_id=account_id, page_size=page_size, page_token=token, **filters
            )
            page = await self._call(self._limits.ListDecisions, request, "")
            for decision in page.decisions:
                yield decision
            token = page.next_page_token
            if not token:
                return

    async def explain(self, decision_id: str, language_codes: Sequence[str] = ()) -> limits.ExplainDecisionResponse:
        """Explain a decision, in the languages named ("zh", "en"; none: all). Raises HoldlineError."""
        request = limits.ExplainDecisionRequest(decision_id=decision_id, language_codes=language_codes)
        return await self._call(self._limits.ExplainDecision, request, "")

    async def authorize(self, account_id: str, amount: money_pb2.Money, **said: Any) -> draw_pb2.Posting:
        """Hold an amount against the limit; arguments as `requests.authorize`. Raises HoldlineError."""
        request = requests.authorize(account_id, amount, **said)
        return (await self._call(self._draws.AuthorizeDraw, request, request.request_id)).posting

    async def capture(self, account_id: str, hold_id: str, amount: money_pb2.Money, **said: Any) -> draw_pb2.Posting:
        """Capture from a hold; arguments as `requests.capture`. Raises HoldlineError."""
        request = requests.capture(account_id, hold_id, amount, **said)
        return (await self._call(self._draws.CaptureDraw, request, request.request_id)).posting

    async def void(self, account_id: str, hold_id: str, **said: str) -> draw_pb2.Posting:
        """Release a hold. Raises HoldlineError."""
        request = requests.void(account_id, hold_id, **said)
        return (await self._call(self._draws.VoidDraw, request, request.request_id)).posting

    async def repay(self, account_id: str, amount: money_pb2.Money, **said: str) -> draw_pb2.Posting:
        """Take a repayment off what is owed. Raises HoldlineError."""
        request = requests.repay(account_id, amount, **said)
        return (await self._call(self._draws.RecordRepayment, request, request.request_id)).posting

    async def mode(self) -> pb.GetModeResponse:
        """Read what is in force. Raises HoldlineError."""
        return await self._call(self._playbooks.GetMode, pb.GetModeRequest(), "")

    async def watch_mode(self, resume_token: str = "") -> AsyncIterator[pb.WatchModeResponse]:
        """Give the mode now and whenever it changes, for ever, as `Client.watch_mode`. Raises HoldlineError."""
        outage = Outage(self._timeout_seconds)
        while True:
            began = time.monotonic()
            request = pb.WatchModeRequest(resume_token=resume_token)
            try:
                async for seen in self._playbooks.WatchMode(request, metadata=self._metadata):
                    resume_token = seen.resume_token
                    outage.end()
                    yield seen
            except grpc.RpcError as error:
                outage.endure(errors.from_rpc(error), began, time.monotonic())
            await asyncio.sleep(RESUME_SECONDS)

    async def _call(self, method: Callable[..., Awaitable[Response]], request: object, request_id: str) -> Response:
        """Call with retries, the same request on each try, all within one deadline."""
        give_up_at = time.monotonic() + self._timeout_seconds

        def remaining_seconds() -> float:
            return give_up_at - time.monotonic()

        async def attempt() -> Response:
            try:
                return await method(request, timeout=max(remaining_seconds(), 0.001), metadata=self._metadata)
            except grpc.RpcError as error:
                raise errors.from_rpc(error, request_id) from error

        self._budget.earn()
        retrying = tenacity.AsyncRetrying(**arguments(self._retry, self._budget, remaining_seconds, self._rng))
        return await retrying(attempt)
