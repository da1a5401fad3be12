"""What reads or computes much is answered beside the engine, which goes on deciding whatever is asked there."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import pytest
import yaml
from holdline.client import Client
from holdline.v1 import (
    account_service_pb2,
    draw_service_pb2,
    feedback_service_pb2,
    feedback_service_pb2_grpc,
    limit_service_pb2,
    notification_service_pb2,
    notification_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    playbook_service_pb2,
    playbook_service_pb2_grpc,
    policy_service_pb2,
    run_service_pb2,
    run_service_pb2_grpc,
)

from service.local_server import Server
from service.rpc.methods import METHODS, Shape
from tests.builders import REFERENCE, document
from tests.service.wire import ASSIGN, RAISE, Stubs, assign, facts, fresh, refusal

READERS = 300


@pytest.fixture
def account(stubs: Stubs) -> str:
    """Make an account with a decision."""
    return stubs.limits.Decide(assign(), timeout=20).account.account_id


@pytest.fixture
def stopped_engine(server: Server, account: str) -> Iterator[str]:
    """Keep the engine from doing anything meanwhile; gives an account."""
    engine = int(server.pids()["engine"])
    os.kill(engine, signal.SIGSTOP)
    try:
        yield account
    finally:
        os.kill(engine, signal.SIGCONT)


def _reads(stubs: Stubs, account: str) -> dict[str, Callable[[], object]]:
    """Give a call of each RPC that the reader answers, by name."""
    limits, policies = stubs.limits, stubs.policies
    playbooks = playbook_service_pb2_grpc.PlaybookServiceStub(stubs.channel)
    runs = run_service_pb2_grpc.RunServiceStub(stubs.channel)
    feedback = feedback_service_pb2_grpc.FeedbackServiceStub(stubs.channel)
    operations, ob = operation_service_pb2_grpc.OperationServiceStub(stubs.channel), operation_service_pb2
    outbox = notification_service_pb2_grpc.NotificationServiceStub(stubs.channel)
    pb, lb, rb, fb = policy_service_pb2, limit_service_pb2, run_service_pb2, feedback_service_pb2
    evaluated = lb.EvaluateRequest(account_id=account, kind=RAISE, facts=facts())
    listed = lb.ListDecisionsRequest(account_id=account)
    decision_id = limits.ListDecisions(listed, timeout=20).decisions[0].decision_id
    asked: dict[str, tuple[Any, Any]] = {
        "Evaluate": (limits.Evaluate, evaluated),
        "ListDecisions": (limits.ListDecisions, listed),
        "ExplainDecision": (limits.ExplainDecision, lb.ExplainDecisionRequest(decision_id=decision_id)),
        "BatchGetAccounts": (
            stubs.accounts.BatchGetAccounts,
            account_service_pb2.BatchGetAccountsRequest(account_ids=[account]),
        ),
        "ListAccounts": (stubs.accounts.ListAccounts, account_service_pb2.ListAccountsRequest()),
        "ListHolds": (stubs.draws.ListHolds, draw_service_pb2.ListHoldsRequest(account_id=account)),
        "ListPostings": (stubs.draws.ListPostings, draw_service_pb2.ListPostingsRequest(account_id=account)),
        "ValidatePolicy": (policies.ValidatePolicy, pb.ValidatePolicyRequest(document=document())),
        "GetPolicy": (policies.GetPolicy, pb.GetPolicyRequest(version=REFERENCE)),
        "ListPolicies": (policies.ListPolicies, pb.ListPoliciesRequest()),
        "ListActivations": (playbooks.ListActivations, playbook_service_pb2.ListActivationsRequest()),
        "GetOperation": (operations.GetOperation, ob.GetOperationRequest(operation_id="run-2020-01-01")),
        "ListOperations": (operations.ListOperations, ob.ListOperationsRequest()),
        "ListRuns": (runs.ListRuns, rb.ListRunsRequest()),
        "GetClosing": (runs.GetClosing, rb.GetClosingRequest(business_date="2020-01-01")),
        "ListClosings": (runs.ListClosings, rb.ListClosingsRequest()),
        "GetDailyRun": (runs.GetDailyRun, rb.GetDailyRunRequest(business_date="2020-01-01")),
        "ListDiscrepancies": (runs.ListDiscrepancies, rb.ListDiscrepanciesRequest(account_id=account)),
        "ListEntitlements": (runs.ListEntitlements, rb.ListEntitlementsRequest(account_id=account)),
        "GetCase": (feedback.GetCase, fb.GetCaseRequest(case_id="C999")),
        "ListCaseNotes": (feedback.ListCaseNotes, fb.ListCaseNotesRequest(case_id="C999")),
        "ListCases": (feedback.ListCases, fb.ListCasesRequest(account_id=account)),
        "ListNotices": (outbox.ListNotices, notification_service_pb2.ListNoticesRequest(account_id=account)),
        "ListAlerts": (outbox.ListAlerts, notification_service_pb2.ListAlertsRequest()),
    }
    return {name: partial(call, request, timeout=20) for name, (call, request) in asked.items()}


def test_reads_evaluations_and_checks_are_answered_while_the_engine_does_nothing(
    stubs: Stubs, server: Server, account: str
) -> None:
    reads = _reads(stubs, account)
    assert set(reads) == {method.path.rpartition("/")[2] for method in METHODS if method.shape is Shape.READ}
    engine = int(server.pids()["engine"])
    codes = {}
    os.kill(engine, signal.SIGSTOP)
    try:
        for name, read in reads.items():
            try:
                read()
                codes[name] = grpc.StatusCode.OK
            except grpc.RpcError as error:
                codes[name] = error.code()
    finally:
        os.kill(engine, signal.SIGCONT)

    missing = {"GetDailyRun", "GetClosing", "GetCase", "GetOperation", "ListCaseNotes"}
    assert codes == {name: grpc.StatusCode.NOT_FOUND if name in missing else grpc.StatusCode.OK for name in reads}


def test_a_document_that_is_none_never_reaches_the_engine(stubs: Stubs, stopped_engine: str) -> None:
    del stopped_engine
    bad = "\n".join(f"k{place}: 1" for place in range(8_000))
    request = policy_service_pb2.PublishPolicyRequest(request_id=fresh(), document=bad)

    found = refusal(lambda: stubs.policies.PublishPolicy(request, timeout=20))

    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


def test_what_was_decided_is_read_at_once_and_what_was_published_too(server: Server) -> None:
    tree = yaml.safe_load(document())
    with Client(server.listen, caller="strong", timeout_seconds=20) as client:
        for number in range(5):
            made = client.decide(f"strong-{number}", ASSIGN, product="revolving", facts={"bureau_score": 700})
            newest = next(iter(client.decisions(f"strong-{number}")))
            version = client.publish_policy(yaml.safe_dump({**tree, "policy": f"strong-{number}"})).policy.version

            assert newest.decision_id == made.decision.decision_id
            assert client.policy(version).policy.published_by.caller == "strong"


def test_many_readers_of_long_lists_at_once_all_have_their_page_and_cost_no_decision(
    server: Server, account: str
) -> None:
    request = limit_service_pb2.ListDecisionsRequest(account_id=account, page_size=1_000)
    with Client(server.listen, caller="writer", timeout_seconds=30) as client:
        client.batch(
            [
                limit_service_pb2.DecideRequest(request_id=fresh("many"), account_id=account, kind=RAISE)
                for _ in range(1_000)
            ]
        )
        channel = grpc.insecure_channel(server.listen)
        stub: Any = channel.unary_unary("/holdline.v1.LimitService/ListDecisions")
        body = request.SerializeToString()
        with ThreadPoolExecutor(8) as pool:
            asked = [stub.future(body, timeout=60) for _ in range(READERS)]
            decided = [pool.submit(client.decide, fresh("beside"), ASSIGN, product="revolving") for _ in range(20)]
            sizes = {len(one.result()) for one in asked}
            outcomes = [one.result().decision.decision_id for one in decided]
        channel.close()

    assert len(sizes) == 1
    assert sizes.pop() < 4 << 20
    assert len(set(outcomes)) == 20
