"""The main job over the wire: decide, retry, batch, stream, read, explain, evaluate."""

from typing import Any

import grpc
from holdline.client import in_language
from holdline.v1 import account_pb2, account_service_pb2, decision_pb2, limit_service_pb2, policy_service_pb2

from tests.builders import document
from tests.service.wire import RAISE, Stubs, assign, fresh, refusal

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_decision_says_who_asked_by_which_policy_mode_and_trace(stubs: Stubs) -> None:
    metadata = (("x-holdline-caller", "billing"), ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"))

    made = stubs.limits.Decide(assign(), timeout=5, metadata=metadata).decision

    assert (made.caller, made.trace_id, made.policy_version, made.mode_id) == (
        "billing", TRACE, "reference-2026-2", "normal",
    )  # fmt: skip
    assert made.outcome == decision_pb2.OUTCOME_APPROVED
    assert [one.language_code for one in made.reasons[0].texts if one.text] == ["zh", "en"]


def test_a_retry_gets_the_recorded_answer_and_another_caller_has_keys_of_its_own(stubs: Stubs) -> None:
    request = assign()

    first = stubs.limits.Decide(request, timeout=5)
    again = stubs.limits.Decide(request, timeout=5)
    other = refusal(lambda: stubs.limits.Decide(request, timeout=5, metadata=(("x-holdline-caller", "other"),)))

    assert (first.replayed, again.replayed) == (False, True)
    assert again.decision == first.decision
    assert again.account == first.account
    assert other.reason == "ACCOUNT_EXISTS"


def test_an_unknown_field_and_another_field_order_are_the_same_request(stubs: Stubs) -> None:
    request = assign()
    first = stubs.limits.Decide(request, timeout=5)
    call: Any = stubs.channel.unary_unary(
        "/holdline.v1.LimitService/Decide", response_deserializer=limit_service_pb2.DecideResponse.FromString
    )
    parts = limit_service_pb2.DecideRequest(kind=request.kind, facts=request.facts).SerializeToString()
    rest = limit_service_pb2.DecideRequest(
        request_id=request.request_id, account_id=request.account_id, product=request.product
    ).SerializeToString()
    unknown_field_99 = b"\x98\x06\x01"

    again = call(parts + unknown_field_99 + rest, timeout=5)

    assert again.replayed
    assert again.decision == first.decision


def test_a_hundred_calls_with_one_key_at_once_make_one_decision(stubs: Stubs) -> None:
    request = assign()

    answers = [future.result() for future in [stubs.limits.Decide.future(request, timeout=10) for _ in range(100)]]

    assert len({answer.decision.decision_id for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1


def test_a_batch_answers_in_order_with_one_result_each(stubs: Stubs) -> None:
    requests = [assign() for _ in range(1_000)]

    results = stubs.limits.BatchDecide(limit_service_pb2.BatchDecideRequest(requests=requests), timeout=20).results

    assert [result.response.decision.request_id for result in results] == [request.request_id for request in requests]


def test_a_stream_answers_every_request_and_keeps_the_order_of_an_account(stubs: Stubs) -> None:
    first = assign()
    reviews = [
        assign(account_id=first.account_id, kind=decision_pb2.DECISION_KIND_REVIEW, product="", facts=None)
        for _ in range(30)
    ]
    messages = (limit_service_pb2.StreamDecisionsRequest(requests=[request]) for request in [first, *reviews])

    results = [result for message in stubs.limits.StreamDecisions(messages, timeout=20) for result in message.results]

    versions = {result.request_id: result.response.decision.account_version for result in results}
    assert [versions[request.request_id] for request in [first, *reviews]] == list(range(1, 32))


def test_a_bad_message_ends_a_stream_with_its_violations(stubs: Stubs) -> None:
    messages = iter([limit_service_pb2.StreamDecisionsRequest()])

    found = refusal(lambda: list(stubs.limits.StreamDecisions(messages, timeout=5)))

    assert (found.code, found.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("requests",))


def test_an_account_is_read_as_of_the_last_answer(stubs: Stubs) -> None:
    made = stubs.limits.Decide(assign(), timeout=5)

    read = stubs.accounts.GetAccount(
        account_service_pb2.GetAccountRequest(account_id=made.account.account_id), timeout=5
    ).account

    assert read == made.account
    assert read.status == account_pb2.ACCOUNT_STATUS_ACTIVE


def test_decisions_are_paged_newest_first(stubs: Stubs) -> None:
    first = assign()
    stubs.limits.Decide(first, timeout=5)
    for _ in range(4):
        stubs.limits.Decide(
            assign(account_id=first.account_id, kind=decision_pb2.DECISION_KIND_REVIEW, product=""), timeout=5
        )
    versions, token = [], ""

    while True:
        request = limit_service_pb2.ListDecisionsRequest(account_id=first.account_id, page_size=2, page_token=token)
        page = stubs.limits.ListDecisions(request, timeout=5)
        versions += [decision.account_version for decision in page.decisions]
        token = page.next_page_token
        if not token:
            break

    assert versions == [5, 4, 3, 2, 1]


def test_evaluating_writes_nothing_and_answers_as_deciding_would(stubs: Stubs) -> None:
    request = assign()
    evaluate = limit_service_pb2.EvaluateRequest(
        account_id=request.account_id, product=request.product, kind=request.kind, facts=request.facts
    )

    evaluated = stubs.limits.Evaluate(evaluate, timeout=5)
    unknown = refusal(
        lambda: stubs.accounts.GetAccount(
            account_service_pb2.GetAccountRequest(account_id=request.account_id), timeout=5
        )
    )
    decided = stubs.limits.Decide(request, timeout=5)

    assert unknown.code is grpc.StatusCode.NOT_FOUND
    assert evaluated.decision.decision_id == ""
    assert evaluated.decision.new_limit == decided.decision.new_limit
    assert sum(piece.points for piece in evaluated.contributions) == decided.decision.score


def test_an_explanation_has_findings_texts_and_advice_that_evaluates_true(stubs: Stubs) -> None:
    first = assign()
    made = stubs.limits.Decide(first, timeout=5)
    refused = stubs.limits.Decide(
        assign(account_id=first.account_id, kind=RAISE, product="", facts=account_pb2.Facts(on_time_streak_months=1)),
        timeout=5,
    ).decision

    explained = stubs.limits.ExplainDecision(
        limit_service_pb2.ExplainDecisionRequest(decision_id=refused.decision_id), timeout=5
    )
    piece = next(one for one in explained.advice.change_together.changes if one.fact == "on_time_streak_months")
    then = stubs.limits.Evaluate(
        limit_service_pb2.EvaluateRequest(
            account_id=first.account_id, kind=RAISE,
            facts=account_pb2.Facts(on_time_streak_months=piece.target.number),
        ),
        timeout=5,
    )  # fmt: skip

    assert refused.outcome == decision_pb2.OUTCOME_DECLINED
    assert explained.findings[0].path == "raise.eligibility[1]"
    assert explained.findings[0].requirement == "on_time_streak_months at least 3"
    assert "未批准" in in_language(explained.summaries, "zh")
    assert (piece.standing, piece.current.number, piece.target.number) == (decision_pb2.FACT_STANDING_KNOWN, 1, 3)
    assert then.decision.new_limit == explained.advice.change_together.limit_then
    assert then.decision.new_limit.minor_units > made.decision.new_limit.minor_units


def test_a_policy_promoted_on_a_running_server_decides_the_next_call(stubs: Stubs) -> None:
    name = fresh("policy")
    text = document("instalment-2026-2").replace("policy: instalment-2026-2", f"policy: {name}")
    request = assign(product="instalment", facts=account_pb2.Facts(bureau_score=800))
    request.facts.monthly_income.CopyFrom(
        account_pb2.Facts().monthly_income.__class__(minor_units=200_000, currency_code="EUR")
    )

    before = stubs.limits.Decide(request, timeout=5).decision
    stubs.policies.PublishPolicy(policy_service_pb2.PublishPolicyRequest(request_id=fresh(), document=text), timeout=5)
    stubs.policies.PromotePolicy(
        policy_service_pb2.PromotePolicyRequest(
            request_id=fresh(), version=name, target_state=policy_service_pb2.POLICY_STATE_ACTIVE, reason="r"
        ),
        timeout=5,
    )
    during = stubs.limits.Decide(assign(product="instalment", facts=request.facts), timeout=5).decision
    stubs.policies.RollbackPolicy(
        policy_service_pb2.RollbackPolicyRequest(
            request_id=fresh(), product="instalment", from_version=name, to_version="instalment-2026-2", reason="r"
        ),
        timeout=5,
    )
    after = stubs.limits.Decide(assign(product="instalment", facts=request.facts), timeout=5).decision

    assert [made.policy_version for made in (before, during, after)] == ["instalment-2026-2", name, "instalment-2026-2"]
    assert before.new_limit.currency_code == "EUR"


def test_policies_are_listed_with_their_state_and_read_with_their_document(stubs: Stubs) -> None:
    page = stubs.policies.ListPolicies(policy_service_pb2.ListPoliciesRequest(product="revolving"), timeout=5)
    read = stubs.policies.GetPolicy(policy_service_pb2.GetPolicyRequest(version="reference-2026-2"), timeout=5)

    assert ("reference-2026-2", policy_service_pb2.POLICY_STATE_ACTIVE) in [
        (policy.version, policy.state) for policy in page.policies
    ]
    assert read.document == document()
