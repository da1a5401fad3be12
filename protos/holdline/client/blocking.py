"""The synchronous client. One instance serves many threads.

Promises the same request id on each try, deadlines passed on to the server, and typed errors.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import grpc

from holdline.client import errors, requests
from holdline.client.draw_client import DrawClient
from holdline.client.event_client import EventClient
from holdline.client.feedback_client import FeedbackClient
from holdline.client.notification_client import NotificationClient
from holdline.client.operation_client import OperationClient
from holdline.client.retry import RESUME_SECONDS, Outage
from holdline.client.run_client import RunClient
from holdline.v1 import account_pb2, account_service_pb2, decision_pb2
from holdline.v1 import limit_service_pb2 as limits
from holdline.v1 import playbook_service_pb2 as pb
from holdline.v1 import policy_service_pb2 as policies


class Client(DrawClient, EventClient, RunClient, NotificationClient, FeedbackClient, OperationClient):
    """Calls Holdline over one channel; see Caller for the arguments."""

    def decide(self, account_id: str, kind: str | int, **arguments_of_decide: Any) -> limits.DecideResponse:
        """Make one durable decision; arguments as `requests.decide`. Raises HoldlineError."""
        return self.send(requests.decide(account_id, kind, **arguments_of_decide))

    def send(self, request: limits.DecideRequest) -> limits.DecideResponse:
        """Make one durable decision from a request that exists; for retries of one's own. Raises HoldlineError."""
        return self._call(self._limits.Decide, request, request.request_id)

    def batch(self, batch: Sequence[limits.DecideRequest]) -> list[limits.DecideResponse | errors.HoldlineError]:
        """Make up to 1,000 decisions with one commit; each with its answer or error. Raises HoldlineError."""
        response = self._call(self._limits.BatchDecide, limits.BatchDecideRequest(requests=batch), "")
        return [result_of(result) for result in response.results]

    def import_accounts(
        self, accounts: Sequence[account_service_pb2.ImportAccount]
    ) -> list[account_service_pb2.ImportedAccount | errors.HoldlineError]:
        """Take over up to 1,000 accounts; each with its answer or error. Raises HoldlineError."""
        response = self._call(
            self._accounts.ImportAccounts, account_service_pb2.ImportAccountsRequest(accounts=accounts), ""
        )
        return [
            errors.from_status(result.error, result.request_id) if result.HasField("error") else result.response
            for result in response.results
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
                    yield result.request_id, result_of(result)
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from error

    def evaluate(self, account_id: str, kind: str | int, **arguments_of_evaluate: Any) -> limits.EvaluateResponse:
        """Compute a decision without writing; arguments as `requests.evaluate`. Raises HoldlineError."""
        return self._call(self._limits.Evaluate, requests.evaluate(account_id, kind, **arguments_of_evaluate), "")

    def account(self, account_id: str) -> account_pb2.Account:
        """Read an account. Raises HoldlineError."""
        return self._call(
            self._accounts.GetAccount, account_service_pb2.GetAccountRequest(account_id=account_id), ""
        ).account

    def decision(self, decision_id: str = "", *, request_id: str = "") -> decision_pb2.Decision:
        """Read a decision by its id, or by the request id it was made with. Raises HoldlineError."""
        return self._call(self._limits.GetDecision, requests.get_decision(decision_id, request_id), "").decision

    def decisions(self, account_id: str, page_size: int = 100, **filters: Any) -> Iterator[decision_pb2.Decision]:
        """Read an account's decisions, newest first; filters of ListDecisionsRequest. Raises HoldlineError."""
        request = limits.ListDecisionsRequest(account_id=account_id, page_size=page_size, **filters)
        for page in self._pages(self._limits.ListDecisions, request):
            yield from page.decisions

    def explain(self, decision_id: str, language_codes: Sequence[str] = ()) -> limits.ExplainDecisionResponse:
        """Explain a decision, in the languages named ("zh", "en"; none: all). Raises HoldlineError."""
        request = limits.ExplainDecisionRequest(decision_id=decision_id, language_codes=language_codes)
        return self._call(self._limits.ExplainDecision, request, "")

    def validate_policy(self, document: str) -> policies.ValidatePolicyResponse:
        """Check a policy document. Raises HoldlineError."""
        return self._call(self._policies.ValidatePolicy, policies.ValidatePolicyRequest(document=document), "")

    def publish_policy(self, document: str, *, request_id: str = "") -> policies.PublishPolicyResponse:
        """Publish a policy as a draft. Raises HoldlineError."""
        request = policies.PublishPolicyRequest(request_id=request_id or requests.new_request_id(), document=document)
        return self._call(self._policies.PublishPolicy, request, request.request_id)

    def promote_policy(
        self, version: str, *, reason: str, target_state: str = "active", request_id: str = ""
    ) -> policies.PromotePolicyResponse:
        """Make a draft decide, and say why. Raises HoldlineError."""
        request = requests.promote(version, reason=reason, target_state=target_state, request_id=request_id)
        return self._call(self._policies.PromotePolicy, request, request.request_id)

    def rollback_target(
        self, product: str, *, from_version: str = "", to_version: str = ""
    ) -> policies.RollbackPolicyResponse:
        """Say what a roll-back would leave and put in force, by default the version before. Raises HoldlineError."""
        request = policies.RollbackPolicyRequest(
            product=product, from_version=from_version, to_version=to_version, validate_only=True
        )
        return self._call(self._policies.RollbackPolicy, request, "")

    def rollback_policy(
        self, product: str, *, from_version: str, to_version: str, reason: str, request_id: str = ""
    ) -> policies.RollbackPolicyResponse:
        """Make an earlier version decide again; refused unless `from_version` decides. Raises HoldlineError."""
        request = policies.RollbackPolicyRequest(
            request_id=request_id or requests.new_request_id(), product=product, from_version=from_version,
            to_version=to_version, reason=reason,
        )  # fmt: skip
        return self._call(self._policies.RollbackPolicy, request, request.request_id)

    def policy(self, version: str) -> policies.GetPolicyResponse:
        """Read a policy version with its document. Raises HoldlineError."""
        return self._call(self._policies.GetPolicy, policies.GetPolicyRequest(version=version), "")

    def policies(self, product: str = "") -> Iterator[policies.PolicyVersion]:
        """Read the policy versions, newest first, page by page. Raises HoldlineError."""
        request = policies.ListPoliciesRequest(product=product)
        for page in self._pages(self._policies.ListPolicies, request):
            yield from page.policies

    def playbooks(self) -> list[pb.Playbook]:
        """Read every version of every playbook. Raises HoldlineError."""
        return list(self._call(self._playbooks.ListPlaybooks, pb.ListPlaybooksRequest(), "").playbooks)

    def playbook(self, name: str, version: int | None = None) -> pb.DescribePlaybookResponse:
        """Read a playbook's page, of the newest version where none is named. Raises HoldlineError."""
        request = pb.DescribePlaybookRequest(name=name, version=version)
        return self._call(self._playbooks.DescribePlaybook, request, "")

    def preview(
        self,
        name: str,
        *,
        version: int | None = None,
        parameters: Mapping[str, int | str] | None = None,
        scope: pb.Scope | None = None,
        decisions: int | None = None,
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
        version: int | None = None,
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

    def approve(self, activation_id: str, *, note: str = "", request_id: str = "") -> pb.ApproveActivationResponse:
        """Approve somebody else's activation, with a note for the record. Raises HoldlineError."""
        request = pb.ApproveActivationRequest(
            request_id=request_id or requests.new_request_id(), activation_id=activation_id, note=note
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

    def end_activation(self, activation_id: str, *, reason: str, request_id: str = "") -> pb.EndActivationResponse:
        """End an activation. Raises HoldlineError."""
        request = pb.EndActivationRequest(
            request_id=request_id or requests.new_request_id(), activation_id=activation_id, reason=reason
        )
        return self._call(self._playbooks.EndActivation, request, request.request_id)

    def activations(self, *states: str | int, page_size: int = 100) -> Iterator[pb.Activation]:
        """Read activations in some states (none: all), newest first, page by page. Raises HoldlineError.

        States are "pending_approval", "active", "lapsed" and "ended".
        """
        wanted = [requests.activation_state(state) for state in states]
        request = pb.ListActivationsRequest(states=wanted, page_size=page_size)
        for page in self._pages(self._playbooks.ListActivations, request):
            yield from page.activations

    def mode(self) -> pb.GetModeResponse:
        """Read what is in force. Raises HoldlineError."""
        return self._call(self._playbooks.GetMode, pb.GetModeRequest(), "")

    def confirm_clock(self, ahead_micros: int, *, reason: str, request_id: str = "") -> pb.ConfirmClockResponse:
        """Say that the engine's machine clock is right, so far ahead as `mode` gave it. Raises HoldlineError."""
        request = pb.ConfirmClockRequest(
            request_id=request_id or requests.new_request_id(), ahead_micros=ahead_micros, reason=reason
        )
        return self._call(self._playbooks.ConfirmClock, request, request.request_id)

    def signals(self) -> pb.GetSignalsResponse:
        """Read what the guards see. Raises HoldlineError."""
        return self._call(self._playbooks.GetSignals, pb.GetSignalsRequest(), "")

    def learn_baseline(
        self, product: str, decisions: int | None = None, *, reason: str, request_id: str = ""
    ) -> pb.LearnBaselineResponse:
        """Take a product's newest decisions as what is normal, and say why. Raises HoldlineError."""
        request = pb.LearnBaselineRequest(
            request_id=request_id or requests.new_request_id(), product=product, decisions=decisions, reason=reason
        )
        return self._call(self._playbooks.LearnBaseline, request, request.request_id)

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


def result_of(result: limits.DecideResult) -> limits.DecideResponse | errors.HoldlineError:
    """Give the answer or the typed error of one item of a batch."""
    if result.HasField("error"):
        return errors.from_status(result.error, result.request_id)
    return result.response
