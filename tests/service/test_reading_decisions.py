"""Decisions are got and listed over the wire by what they are, with texts in the languages that are wanted."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import timestamp_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from holdline.client import Client, NotFound, in_language, money
from holdline.v1 import account_service_pb2, decision_pb2, draw_service_pb2, limit_service_pb2

from service.local_server import Server
from service.rpc import pages
from service.rpc.draws import LIST_POSTINGS
from tests.service.oncall import As
from tests.service.wire import ASSIGN, RAISE, Stubs, assign, facts, fresh, refusal

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DECLINED, APPROVED = decision_pb2.OUTCOME_DECLINED, decision_pb2.OUTCOME_APPROVED


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.listen, caller="reader") as one:
        yield one


def _made(stubs: Stubs, **said: Any) -> decision_pb2.Decision:
    return stubs.limits.Decide(assign(**said), timeout=5).decision


def _raised(stubs: Stubs, account_id: str, **said: Any) -> decision_pb2.Decision:
    return _made(stubs, account_id=account_id, kind=RAISE, product="", **said)


def _listed(stubs: Stubs, **said: Any) -> limit_service_pb2.ListDecisionsResponse:
    return stubs.limits.ListDecisions(limit_service_pb2.ListDecisionsRequest(**said), timeout=5)


def test_a_decision_is_got_by_its_id_or_by_the_callers_own_request_id(as_: As) -> None:
    shop, other = as_("anna"), as_("bert")
    made = shop.send(assign()).decision

    assert shop.decision(made.decision_id) == made
    assert shop.decision(request_id=made.request_id) == made
    assert other.decision(made.decision_id) == made
    with pytest.raises(NotFound) as foreign:
        other.decision(request_id=made.request_id)
    with pytest.raises(NotFound) as unknown:
        shop.decision("f" * 16)
    assert (foreign.value.reason, unknown.value.reason) == ("DECISION_NOT_FOUND", "DECISION_NOT_FOUND")
    assert foreign.value.metadata == {"request_id": made.request_id}


def test_a_request_id_of_something_else_is_no_decisions(client: Client) -> None:
    account_id = client.send(assign()).account.account_id
    drawn = client.authorize(account_id, money(100, "CNY"))

    with pytest.raises(NotFound) as found:
        client.decision(request_id=drawn.request_id)
    assert found.value.reason == "DECISION_NOT_FOUND"


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({}, ("which",)),
        ({"decision_id": "17"}, ("decision_id",)),
        ({"decision_id": "F" * 16}, ("decision_id",)),
        ({"request_id": ""}, ("request_id",)),
        ({"request_id": "r", "language_codes": ["fr"]}, ("language_codes[0]",)),
    ],
)
def test_a_decision_that_is_not_named_rightly_is_refused(
    stubs: Stubs, said: dict[str, Any], fields: tuple[str, ...]
) -> None:
    request = limit_service_pb2.GetDecisionRequest(**said)

    found = refusal(lambda: stubs.limits.GetDecision(request, timeout=5))

    assert (found.code, found.fields) == (INVALID, fields)


def test_decisions_are_listed_by_kind_outcome_and_time(stubs: Stubs) -> None:
    first = _made(stubs)
    account_id = first.account_id
    refused = _raised(stubs, account_id, facts=facts(dpd_now=3))
    again = _raised(stubs, account_id, facts=facts(dpd_now=3))

    def ids(**said: Any) -> list[str]:
        return [one.decision_id for one in _listed(stubs, account_id=account_id, **said).decisions]

    assert refused.outcome == DECLINED
    assert ids(kinds=[ASSIGN]) == ids(outcomes=[APPROVED]) == [first.decision_id]
    assert ids(kinds=[RAISE], outcomes=[DECLINED]) == [again.decision_id, refused.decision_id]
    assert ids(kinds=[ASSIGN], outcomes=[DECLINED]) == []
    assert ids(decided_from=refused.decided_at) == [again.decision_id, refused.decision_id]
    assert ids(decided_until=refused.decided_at) == [first.decision_id]
    assert ids(decided_from=refused.decided_at, decided_until=again.decided_at) == [refused.decision_id]


def test_a_page_of_a_filtered_list_goes_on_where_it_ended_and_with_its_filter_only(stubs: Stubs) -> None:
    first = _made(stubs)
    made = [_raised(stubs, first.account_id, facts=facts(dpd_now=3)).decision_id for _ in range(3)]
    asked = {"account_id": first.account_id, "kinds": [RAISE], "page_size": 2}
    page = _listed(stubs, **asked)
    rest = _listed(stubs, **asked, page_token=page.next_page_token)
    other = _made(stubs).account_id

    assert [one.decision_id for one in (*page.decisions, *rest.decisions)] == made[::-1]
    wrong: dict[str, Any]
    for wrong in ({"kinds": []}, {"outcomes": [DECLINED]}, {"account_id": other}, {"decided_from": first.decided_at}):
        said = {**asked, **wrong, "page_token": page.next_page_token}
        found = refusal(lambda said=said: _listed(stubs, **said))  # type: ignore[misc]  # a bound default.
        assert (found.code, found.fields) == (INVALID, ("page_token",))


@pytest.mark.parametrize("seconds", [-(2**63), -1, 7_258_118_400, 2**63 - 1])
def test_a_time_beyond_all_ranges_is_named_beside_a_token(stubs: Stubs, seconds: int) -> None:
    account_id, time = _made(stubs).account_id, Timestamp(seconds=seconds)
    token = pages.token(LIST_POSTINGS, (account_id, (0, 0), [], []), "1".zfill(16))
    asked = draw_service_pb2.ListPostingsRequest(account_id=account_id, posted_until=time, page_token=token)

    decisions = refusal(lambda: _listed(stubs, account_id=account_id, decided_from=time, page_token=token))
    postings = refusal(lambda: stubs.draws.ListPostings(asked, timeout=5))

    assert (decisions.code, decisions.fields[0]) == (INVALID, "decided_from")
    assert (postings.code, postings.fields[0]) == (INVALID, "posted_until")


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"kinds": [0]}, ("kinds[0]",)),
        ({"kinds": [99]}, ("kinds[0]",)),
        ({"outcomes": [0, 1]}, ("outcomes[0]",)),
        ({"outcomes": [1] * 9}, ("outcomes",)),
        ({"decided_from": timestamp_pb2.Timestamp(seconds=1)}, ("decided_from",)),
        (
            {
                "decided_from": timestamp_pb2.Timestamp(seconds=1_700_000_000),
                "decided_until": timestamp_pb2.Timestamp(seconds=1_700_000_000),
            },
            ("decided_until",),
        ),
        ({"language_codes": ["zh", "EN"]}, ("language_codes[1]",)),
    ],
)
def test_a_filter_that_does_not_apply_is_refused(stubs: Stubs, said: dict[str, Any], fields: tuple[str, ...]) -> None:
    found = refusal(lambda: _listed(stubs, account_id="a", **said))

    assert (found.code, found.fields) == (INVALID, fields)


@pytest.mark.parametrize(
    ("wanted", "told"), [([], ["zh", "en"]), (["en"], ["en"]), (["zh"], ["zh"]), (["en", "zh"], ["zh", "en"])]
)
def test_texts_come_in_the_languages_that_are_wanted(client: Client, wanted: list[str], told: list[str]) -> None:
    made = client.send(assign(language_codes=wanted)).decision
    explained = client.explain(made.decision_id, wanted)
    evaluated = client.evaluate(made.account_id, "raise", language_codes=wanted).decision
    (listed,) = client.decisions(made.account_id, language_codes=wanted)

    for texts in (
        made.reasons[0].texts, listed.reasons[0].texts, evaluated.reasons[0].texts, explained.summaries,
        explained.decision.reasons[0].texts,
    ):  # fmt: skip
        assert [one.language_code for one in texts if one.text] == told


def test_a_retry_in_another_language_gets_the_recorded_answer(client: Client) -> None:
    request = assign(language_codes=["zh"])
    made = client.send(request)
    request.language_codes[:] = ["en"]
    again = client.send(request)

    assert again.replayed
    assert again.decision.decision_id == made.decision.decision_id
    assert not in_language(again.decision.reasons[0].texts, "zh")
    assert in_language(again.decision.reasons[0].texts, "en")


def test_each_request_of_a_batch_has_its_own_languages_and_its_result_names_it(stubs: Stubs) -> None:
    requests = [assign(language_codes=["en"]), assign(), assign(language_codes=["fr"]), assign(language_codes=["zh"])]
    answered = stubs.limits.BatchDecide(limit_service_pb2.BatchDecideRequest(requests=requests), timeout=5).results

    assert [result.request_id for result in answered] == [request.request_id for request in requests]
    told = [
        [one.language_code for reason in result.response.decision.reasons[:1] for one in reason.texts]
        for result in answered
    ]
    assert told == [["en"], ["zh", "en"], [], ["zh"]]
    assert answered[2].error.code == INVALID.value[0]
    assert "language_codes[0]" in answered[2].error.message


def test_an_import_has_results_of_its_own(stubs: Stubs) -> None:
    accounts = [
        account_service_pb2.ImportAccount(
            request_id=fresh(), account_id=fresh("a"), product=product, limit=money(100_000, "CNY"),
            outstanding=money(40_000, "CNY"),
        )
        for product in ("revolving", "")
    ]  # fmt: skip
    request = account_service_pb2.ImportAccountsRequest(accounts=accounts)

    taken, refused = stubs.accounts.ImportAccounts(request, timeout=5).results

    assert [taken.request_id, refused.request_id] == [one.request_id for one in accounts]
    assert refused.error.code == INVALID.value[0]
    assert taken.response.decision.kind == decision_pb2.DECISION_KIND_IMPORT
    assert not taken.response.decision.HasField("score")
    balances = taken.response.decision.balances
    assert balances == taken.response.account.balances
    assert [
        part.minor_units
        for part in (balances.limit, balances.effective_limit, balances.held, balances.outstanding, balances.available)
    ] == [100_000, 100_000, 0, 40_000, 60_000]


@pytest.mark.parametrize(("kind", "name"), [(5, "IMPORT"), (7, "APPEAL")])
def test_a_kind_that_is_recorded_can_not_be_asked_and_the_refusal_says_so(stubs: Stubs, kind: int, name: str) -> None:
    asked = assign(kind=decision_pb2.DecisionKind.ValueType(kind))
    evaluated = limit_service_pb2.EvaluateRequest(account_id="a", kind=asked.kind)

    for found in (
        refusal(lambda: stubs.limits.Decide(asked, timeout=5)),
        refusal(lambda: stubs.limits.Evaluate(evaluated, timeout=5)),
    ):
        assert (found.code, found.fields) == (INVALID, ("kind",))
        assert f"{name} is recorded, never asked" in found.message


def test_a_fact_says_whether_it_was_known_and_an_amount_has_its_currency(client: Client) -> None:
    asked = facts()
    asked.ClearField("bureau_score")
    made = client.send(assign(facts=asked)).decision
    by_name = {one.characteristic: one for one in client.explain(made.decision_id).contributions}
    missing = by_name["bureau_score"]

    assert (missing.standing, missing.HasField("value")) == (decision_pb2.FACT_STANDING_MISSING, False)
    known = [one for one in by_name.values() if one.standing == decision_pb2.FACT_STANDING_KNOWN]
    assert known
    for one in known:
        expected = "amount" if one.characteristic in ("monthly_income", "mean_transaction") else "number"
        assert one.value.WhichOneof("value") == expected
        assert not one.value.HasField("amount") or one.value.amount.currency_code == "CNY"


def test_advice_is_absent_where_nothing_went_against_the_customer_and_else_has_one_way(client: Client) -> None:
    good = client.send(assign()).decision
    flagged = client.send(assign(facts=facts(misuse_flags=1))).decision
    told = client.explain(flagged.decision_id, ["en"]).advice

    assert good.outcome == APPROVED
    assert not client.explain(good.decision_id).HasField("advice")
    assert flagged.outcome == DECLINED
    assert told.WhichOneof("way") == "nothing_known"
    assert [one.language_code for one in told.texts] == ["en"]
