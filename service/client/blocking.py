"""The synchronous client. One instance serves many threads.

Promises the same request id on each try, deadlines passed on to the server, and typed errors.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import tenacity
from holdline.v1 import account_pb2, decision_pb2, draw_pb2, money_pb2
from holdline.v1 import limit_service_pb2 as limits
from holdline.v1 import limit_service_pb2_grpc as limits_grpc
from holdline.v1 import playbook_service_pb2 as pb
from holdline.v1 import playbook_service_pb2_grpc as playbooks_grpc
from holdline.v1 import policy_service_pb2 as policies
from holdline.v1 import policy_service_pb2_grpc as policies_grpc
from holdline.v1 import run_service_pb2 as runs
from holdline.v1 import run_service_pb2_grpc as runs_grpc

from service.client import errors, requests
from service.client.retry import RESUME_SECONDS, Budget, Outage, Retry, arguments

Response = TypeVar("Response")
TIMEOUT_SECONDS = 5.0


class Client:
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
        self._policies = policies_grpc.PolicyServiceStub(self._channel)
        self._playbooks = playbooks_grpc.PlaybookServiceStub(self._channel)
        self._runs = runs_grpc.RunServiceStub(self._channel)
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

    def decide(self, account_id: str, kind: str | int, **arguments_of_decide: Any) -> limits.DecideResponse:
        """Make one durable decision; arguments as `requests.decide`. Raises HoldlineError."""
        return self.send(requests.decide(account_id, kind, **arguments_of_decide))

    def send(self, request: limits.DecideRequest) -> limits.DecideResponse:
        """Make one durable decision from a request that exists; for retries of one's own. Raises HoldlineError."""
        return self._call(self._limits.Decide, request, request.request_id)

    def batch(self, batch: Sequence[limits.DecideRequest]) -> list[limits.DecideResponse | errors.HoldlineError]:
        """Make up to 1,000 decisions with one commit; each with its answer or error. Raises HoldlineError."""
        response = self._call(self._limits.BatchDecide, limits.BatchDecideRequest(requests=batch), "")
        return [result_of(result, request.request_id) for result, request in zip(response.results, batch, strict=True)]

    def import_accounts(
        self, accounts: Sequence[limits.ImportAccount]
    ) -> list[limits.DecideResponse | errors.HoldlineError]:
        """Take over up to 1,000 accounts; each with its answer or error. Raises HoldlineError."""
        response = self._call(self._limits.ImportAccounts, limits.ImportAccountsRequest(accounts=accounts), "")
        return [
            result_of(result, account.request_id) for result, account in zip(response.results, accounts, strict=True)
        ]

    def stream(
        self, batches: Iterable[Sequence[limits.DecideRequest]], timeout_seconds: float | None = None
    ) -> Iterator[tuple[str, limits.DecideResponse | errors.HoldlineError]]:
        """Make decisions over one stream; gives request ids with answers or errors. Raises HoldlineError.

        A stream is not retried: send what is unanswered again, with the same request ids.
        """
        sent = (limits.StreamDecisionsRequest(requests=batch) for batch in batches)
        try:
            for message in self._limits.StreamDecisions(sent, timeout=timeout_seconds, metadata=self._metadata):
                for result in message.results:
                    yield result.request_id, result_of(result, result.request_id)
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from error

    def evaluate(self, account_id: str, kind: str | int, **arguments_of_evaluate: Any) -> limits.EvaluateResponse:
        """Compute a decision without writing; arguments as `requests.evaluate`. Raises HoldlineError."""
        return self._call(self._limits.Evaluate, requests.evaluate(account_id, kind, **arguments_of_evaluate), "")

    def account(self, account_id: str) -> account_pb2.Account:
        """Read an account. Raises HoldlineError."""
        return self._call(self._limits.GetAccount, limits.GetAccountRequest(account_id=account_id), "").account

    def decisions(self, account_id: str, page_size: int = 100) -> Iterator[decision_pb2.Decision]:
        """Read an account's decisions, newest first, page by page. Raises HoldlineError."""
        token = ""
        while True:
            request = limits.ListDecisionsRequest(account_id=account_id, page_size=page_size, page_token=token)
            page = self._call(self._limits.ListDecisions, request, "")
            yield from page.decisions
            token = page.next_page_token
            if not token:
                return

    def explain(self, decision_id: str) -> limits.ExplainDecisionResponse:
        """Explain a decision. Raises HoldlineError."""
        return self._call(self._limits.ExplainDecision, limits.ExplainDecisionRequest(decision_id=decision_id), "")

    def authorize(self, account_id: str, amount: money_pb2.Money, **said: Any) -> draw_pb2.Posting:
        """Hold an amount against the limit; arguments as `requests.authorize`. Raises HoldlineError."""
        request = requests.authorize(account_id, amount, **said)
        return self._call(self._limits.AuthorizeDraw, request, request.request_id).posting

    def capture(self, account_id: str, hold_id: str, amount: money_pb2.Money, **said: Any) -> draw_pb2.Posting:
        """Capture from a hold; arguments as `requests.capture`. Raises HoldlineError."""
        request = requests.capture(account_id, hold_id, amount, **said)
        return self._call(self._limits.CaptureDraw, request, request.request_id).posting

    def void(self, account_id: str, hold_id: str, *, request_id: str = "") -> draw_pb2.Posting:
        """Release a hold. Raises HoldlineError."""
        request = requests.void(account_id, hold_id, request_id=request_id)
        return self._call(self._limits.VoidDraw, request, request.request_id).posting

    def repay(self, account_id: str, amount: money_pb2.Money, *, request_id: str = "") -> draw_pb2.Posting:
        """Take a repayment off what is owed. Raises HoldlineError."""
        request = requests.repay(account_id, amount, request_id=request_id)
        return self._call(self._limits.RecordRepayment, request, request.request_id).posting

    def hold(self, account_id: str, hold_id: str) -> draw_pb2.Hold:
        """Read a hold as it stands now. Raises HoldlineError."""
        request = limits.GetHoldRequest(account_id=account_id, hold_id=hold_id)
        return self._call(self._limits.GetHold, request, "").hold

    def postings(self, account_id: str, page_size: int = 100) -> Iterator[draw_pb2.Posting]:
        """Read an account's draws and repayments, newest first, page by page. Raises HoldlineError."""
        token = ""
        while True:
            request = limits.ListPostingsRequest(account_id=account_id, page_size=page_size, page_token=token)
            page = self._call(self._limits.ListPostings, request, "")
            yield from page.postings
            token = page.next_page_token
            if not token:
                return

    def start_run(self, business_date: date | str) -> runs.DailyRun:
        """Start a business date's run of promised raises, once. Raises HoldlineError."""
        request = runs.StartDailyRunRequest(business_date=requests.iso_date(business_date))
        return self._call(self._runs.StartDailyRun, request, "").run

    def run(self, business_date: date | str) -> runs.DailyRun:
        """Read how far a run is. Raises HoldlineError."""
        request = runs.GetDailyRunRequest(business_date=requests.iso_date(business_date))
        return self._call(self._runs.GetDailyRun, request, "").run

    def cancel_run(self, business_date: date | str) -> runs.DailyRun:
        """Stop a run; what was raised stays raised. Raises HoldlineError."""
        request = runs.CancelDailyRunRequest(business_date=requests.iso_date(business_date))
        return self._call(self._runs.CancelDailyRun, request, "").run

    def watch_run(self, business_date: date | str) -> Iterator[runs.DailyRun]:
        """Give a run now and whenever it has come further, until it is over; a broken stream is resumed.

        Raises HoldlineError for what can't be retried: a refusal, or a server that stays out of reach.
        """
        request = runs.WatchDailyRunRequest(business_date=requests.iso_date(business_date))
        outage = Outage(self._timeout_seconds)
        while True:
            began = time.monotonic()
            try:
                for seen in self._runs.WatchDailyRun(request, metadata=self._metadata):
                    request.resume_token = seen.resume_token
                    outage.end()
                    yield seen.run
            except grpc.RpcError as error:
                outage.endure(errors.from_rpc(error), began, time.monotonic())
                time.sleep(RESUME_SECONDS)
            else:
                return

    def close_day(self, business_date: date | str) -> runs.Closing:
        """Close a business date, or read how that goes. Raises HoldlineError."""
        request = runs.CloseBusinessDayRequest(business_date=requests.iso_date(business_date))
        return self._call(self._runs.CloseBusinessDay, request, "").closing

    def make_good(self, business_date: date | str) -> runs.Closing:
        """Raise those for whom a closed date is missing a raise. Raises HoldlineError."""
        request = runs.MakeGoodBusinessDayRequest(business_date=requests.iso_date(business_date))
        return self._call(self._runs.MakeGoodBusinessDay, request, "").closing

    def discrepancies(self, business_date: date | str, page_size: int = 100) -> Iterator[runs.Discrepancy]:
        """Read the accounts for which a closed date does not add up, page by page. Raises HoldlineError."""
        day, token = requests.iso_date(business_date), ""
        while True:
            request = runs.ListDiscrepanciesRequest(business_date=day, page_size=page_size, page_token=token)
            page = self._call(self._runs.ListDiscrepancies, request, "")
            yield from page.discrepancies
            token = page.next_page_token
            if not token:
                return

    def entitlements(self, account_id: str, page_size: int = 100) -> Iterator[runs.Entitlement]:
        """Read an account's promises, newest first, page by page. Raises HoldlineError."""
        token = ""
        while True:
            request = runs.ListEntitlementsRequest(account_id=account_id, page_size=page_size, page_token=token)
            page = self._call(self._runs.ListEntitlements, request, "")
            yield from page.entitlements
            token = page.next_page_token
            if not token:
                return

    def validate_policy(self, document: str) -> policies.ValidatePolicyResponse:
        """Check a policy document. Raises HoldlineError."""
        return self._call(self._policies.ValidatePolicy, policies.ValidatePolicyRequest(document=document), "")

    def publish_policy(self, document: str, *, request_id: str = "") -> policies.PublishPolicyResponse:
        """Publish a policy as a draft. Raises HoldlineError."""
        request = policies.PublishPolicyRequest(request_id=request_id or requests.new_request_id(), document=document)
        return self._call(self._policies.PublishPolicy, request, request.request_id)

    def promote_policy(self, version: str, *, reason: str = "", request_id: str = "") -> policies.PromotePolicyResponse:
        """Make a draft decide. Raises HoldlineError."""
        request = policies.PromotePolicyRequest(
            request_id=request_id or requests.new_request_id(), version=version, reason=reason
        )
        return self._call(self._policies.PromotePolicy, request, request.request_id)

    def rollback_policy(
        self, product: str, *, version: str = "", reason: str = "", request_id: str = ""
    ) -> policies.RollbackPolicyResponse:
        """Make an earlier version decide again. Raises HoldlineError."""
        request = policies.RollbackPolicyRequest(
            request_id=request_id or requests.new_request_id(), product=product, version=version, reason=reason
        )
        return self._call(self._policies.RollbackPolicy, request, request.request_id)

    def policy(self, version: str) -> policies.GetPolicyResponse:
        """Read a policy version with its document. Raises HoldlineError."""
        return self._call(self._policies.GetPolicy, policies.GetPolicyRequest(version=version), "")

    def policies(self, product: str = "") -> Iterator[policies.PolicyVersion]:
        """Read the policy versions, newest first, page by page. Raises HoldlineError."""
        token = ""
        while True:
            request = policies.ListPoliciesRequest(product=product, page_token=token)
            page = self._call(self._policies.ListPolicies, request, "")
            yield from page.policies
            token = page.next_page_token
            if not token:
                return

    def playbooks(self) -> list[pb.Playbook]:
        """Read every version of every playbook. Raises HoldlineError."""
        return list(self._call(self._playbooks.ListPlaybooks, pb.ListPlaybooksRequest(), "").playbooks)

    def playbook(self, name: str, version: int = 0) -> pb.DescribePlaybookResponse:
        """Read a playbook's page; version 0 is the newest. Raises HoldlineError."""
        request = pb.DescribePlaybookRequest(name=name, version=version)
        return self._call(self._playbooks.DescribePlaybook, request, "")

    def preview(
        self,
        name: str,
        *,
        version: int = 0,
        parameters: Mapping[str, int | str] | None = None,
        scope: pb.Scope | None = None,
        decisions: int = 0,
    ) -> pb.PreviewPlaybookResponse:
        """See what a playbook would have changed of the newest decisions. Raises HoldlineError."""
        request = pb.PreviewPlaybookRequest(
            name=name, version=version, parameters=requests.parameters_of(parameters), scope=scope, decisions=decisions
        )
        return self._call(self._playbooks.PreviewPlaybook, request, "")

    def activate(
        self,
        name: str,
        *,
        ttl_seconds: int,
        reason: str,
        version: int = 0,
        parameters: Mapping[str, int | str] | None = None,
        scope: pb.Scope | None = None,
        incident: str = "",
        break_glass: bool = False,
        force: bool = False,
        request_id: str = "",
    ) -> pb.ActivatePlaybookResponse:
        """Put a playbook in force, or ask for the approvals it needs. Raises HoldlineError."""
        request = pb.ActivatePlaybookRequest(
            request_id=request_id or requests.new_request_id(), name=name, version=version,
            parameters=requests.parameters_of(parameters), scope=scope, ttl_seconds=ttl_seconds, reason=reason,
            incident=incident, break_glass=break_glass, force=force,
        )  # fmt: skip
        return self._call(self._playbooks.ActivatePlaybook, request, request.request_id)

    def approve(self, activation_id: str, *, reason: str = "", request_id: str = "") -> pb.ApproveActivationResponse:
        """Approve somebody else's activation. Raises HoldlineError."""
        request = pb.ApproveActivationRequest(
            request_id=request_id or requests.new_request_id(), activation_id=activation_id, reason=reason
        )
        return self._call(self._playbooks.ApproveActivation, request, request.request_id)

    def extend(
        self, activation_id: str, *, ttl_seconds: int, reason: str, request_id: str = ""
    ) -> pb.ExtendActivationResponse:
        """Let an activation last so long from now on. Raises HoldlineError."""
        request = pb.ExtendActivationRequest(
            request_id=request_id or requests.new_request_id(), activation_id=activation_id, ttl_seconds=ttl_seconds,
            reason=reason,
        )  # fmt: skip
        return self._call(self._playbooks.ExtendActivation, request, request.request_id)

    def deactivate(self, activation_id: str, *, reason: str, request_id: str = "") -> pb.DeactivatePlaybookResponse:
        """End an activation. Raises HoldlineError."""
        request = pb.DeactivatePlaybookRequest(
            request_id=request_id or requests.new_request_id(), activation_id=activation_id, reason=reason
        )
        return self._call(self._playbooks.DeactivatePlaybook, request, request.request_id)

    def mode(self) -> pb.GetModeResponse:
        """Read what is in force. Raises HoldlineError."""
        return self._call(self._playbooks.GetMode, pb.GetModeRequest(), "")

    def signals(self) -> pb.GetSignalsResponse:
        """Read what the guards see. Raises HoldlineError."""
        return self._call(self._playbooks.GetSignals, pb.GetSignalsRequest(), "")

    def learn_baseline(self, product: str, decisions: int = 0) -> pb.LearnBaselineResponse:
        """Take a product's newest decisions as what is normal. Raises HoldlineError."""
        request = pb.LearnBaselineRequest(product=product, decisions=decisions)
        return self._call(self._playbooks.LearnBaseline, request, "")

    def watch_mode(self, resume_token: str = "") -> Iterator[pb.WatchModeResponse]:
        """Give the mode now and whenever it changes, for ever; a broken stream is resumed. Raises HoldlineError.

        What can't be retried ends it: a refusal, or a server that stays out of reach for the client's time-out.
        """
        outage = Outage(self._timeout_seconds)
        while True:
            began = time.monotonic()
            try:
                for seen in self._playbooks.WatchMode(
                    pb.WatchModeRequest(resume_token=resume_token), metadata=self._metadata
                ):
                    resume_token = seen.resume_token
                    outage.end()
                    yield seen
            except grpc.RpcError as error:
                outage.endure(errors.from_rpc(error), began, time.monotonic())
            time.sleep(RESUME_SECONDS)

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


def result_of(
    result: limits.BatchDecideResult | limits.StreamDecisionsResult, request_id: str
) -> limits.DecideResponse | errors.HoldlineError:
    """Give the answer or the typed error of one item of a batch."""
    if result.HasField("error"):
        return errors.from_status(result.error, request_id)
    return result.response
