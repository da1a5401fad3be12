"""Draws over the wire: what callers see, what is refused, and many connections on one account."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from holdline.client import Client, errors, is_declined
from holdline.client.requests import new_request_id
from holdline.v1 import account_service_pb2, decision_pb2, draw_pb2, draw_service_pb2
from holdline.v1.money_pb2 import Money

from service.local_server import Server
from tests.proof.journal import ONCE
from tests.service.wire import Stubs, assign, fresh, refusal

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def _yuan(minor_units: int) -> Money:
    return Money(minor_units=minor_units, currency_code="CNY")


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.listen, caller="till", retry=ONCE) as found:
        yield found


@pytest.fixture
def account_id(stubs: Stubs) -> str:
    """Give an account with a limit and nothing drawn."""
    return stubs.limits.Decide(assign(), timeout=5).account.account_id


def test_a_hold_is_captured_in_parts_and_what_is_left_is_released(client: Client, account_id: str) -> None:
    limit = client.account(account_id).balances.limit.minor_units
    held = client.authorize(account_id, _yuan(50_000))
    first = client.capture(account_id, held.hold.hold_id, _yuan(20_000))
    last = client.capture(account_id, held.hold.hold_id, _yuan(10_000), is_final=True)
    client.repay(account_id, _yuan(5_000))

    assert (first.balances.held.minor_units, first.balances.outstanding.minor_units) == (30_000, 20_000)
    assert last.hold.state == draw_pb2.HOLD_STATE_CAPTURED
    account = client.account(account_id)
    assert (account.balances.held.minor_units, account.balances.outstanding.minor_units) == (0, 25_000)
    assert account.balances.available.minor_units == limit - 25_000
    assert client.hold(account_id, held.hold.hold_id).captured == _yuan(30_000)
    kinds = [posting.kind for posting in client.postings(account_id, page_size=2)]
    assert kinds == [4, 2, 2, 1]


def test_a_draw_beyond_the_limit_is_declined_recorded_and_told_the_same_at_a_retry(
    client: Client, stubs: Stubs, account_id: str
) -> None:
    limit = client.account(account_id).balances.limit.minor_units
    request = draw_service_pb2.AuthorizeDrawRequest(
        request_id=fresh("d"), account_id=account_id, amount=_yuan(limit + 1)
    )

    first = stubs.draws.AuthorizeDraw(request, timeout=5)
    again = stubs.draws.AuthorizeDraw(request, timeout=5)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.posting == first.posting
    (posting,) = client.postings(account_id)
    assert posting == first.posting == client.posting(posting.posting_id)
    assert is_declined(posting)
    assert not posting.HasField("hold")
    assert posting.amount == _yuan(limit + 1)
    assert posting.balances.available.minor_units == limit
    assert posting.reasons[0].code == "LIMIT_USED"
    assert [one.language_code for one in posting.reasons[0].texts if one.text] == ["zh", "en"]


def test_capture_after_void_and_void_after_capture_are_refused(client: Client, account_id: str) -> None:
    voided = client.authorize(account_id, _yuan(1_000)).hold.hold_id
    client.void(account_id, voided)
    captured = client.authorize(account_id, _yuan(1_000)).hold.hold_id
    client.capture(account_id, captured, _yuan(1_000))

    with pytest.raises(errors.Refused) as after_void:
        client.capture(account_id, voided, _yuan(1))
    with pytest.raises(errors.Refused) as after_capture:
        client.void(account_id, captured)

    assert (after_void.value.reason, after_void.value.metadata["state"]) == ("HOLD_OVER", "voided")
    assert (after_capture.value.reason, after_capture.value.metadata["state"]) == ("HOLD_OVER", "captured")


def test_more_than_is_held_or_owed_is_refused(client: Client, account_id: str) -> None:
    hold_id = client.authorize(account_id, _yuan(1_000)).hold.hold_id
    with pytest.raises(errors.Refused) as over:
        client.capture(account_id, hold_id, _yuan(1_001))
    with pytest.raises(errors.Refused) as more:
        client.repay(account_id, _yuan(1))

    assert (over.value.reason, over.value.metadata["left_minor"]) == ("CAPTURE_EXCEEDS_HOLD", "1000")
    assert (more.value.reason, more.value.metadata["outstanding_minor"]) == ("REPAYMENT_EXCEEDS_DEBT", "0")
    assert {one.value.metadata["currency_code"] for one in (over, more)} == {"CNY"}


def test_a_hold_of_another_account_is_not_found(client: Client, stubs: Stubs, account_id: str) -> None:
    other = stubs.limits.Decide(assign(), timeout=5).account.account_id
    hold_id = client.authorize(account_id, _yuan(1_000)).hold.hold_id

    for call in (
        lambda: client.capture(other, hold_id, _yuan(1)),
        lambda: client.void(other, hold_id),
        lambda: client.hold(other, hold_id),
    ):
        with pytest.raises(errors.NotFound) as refused:
            call()
        assert refused.value.reason == "HOLD_NOT_FOUND"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"amount": Money(minor_units=0, currency_code="CNY")}, "amount.minor_units"),
        ({"amount": Money(minor_units=-5, currency_code="CNY")}, "amount.minor_units"),
        ({"amount": Money(minor_units=1 << 62, currency_code="CNY")}, "amount.minor_units"),
        ({"amount": Money(minor_units=5, currency_code="yuan")}, "amount.currency_code"),
        ({"amount": Money(minor_units=5, currency_code="USD")}, "amount.currency_code"),
        ({"ttl_seconds": -1}, "ttl_seconds"),
        ({"ttl_seconds": 30 * 86_400 + 1}, "ttl_seconds"),
        ({"request_id": ""}, "request_id"),
        ({"reference": "x" * 65}, "reference"),
        ({"reference": "order\n17"}, "reference"),
        ({"account_id": "a b"}, "account_id"),
    ],
)
def test_a_draw_with_a_bad_field_is_refused_and_nothing_is_held(
    client: Client, stubs: Stubs, account_id: str, said: dict[str, object], field: str
) -> None:
    good: dict[str, object] = {"request_id": fresh("d"), "account_id": account_id, "amount": _yuan(5)}
    request = draw_service_pb2.AuthorizeDrawRequest(**{**good, **said})  # type: ignore[arg-type]  # of every type.

    refused = refusal(lambda: stubs.draws.AuthorizeDraw(request, timeout=5))

    assert (refused.code, refused.fields) == (INVALID, (field,))
    assert list(client.postings(account_id)) == []


def test_an_unknown_account_and_a_bad_hold_id_are_told_apart(stubs: Stubs, account_id: str) -> None:
    unknown = draw_service_pb2.RecordRepaymentRequest(request_id=fresh("d"), account_id="nobody", amount=_yuan(5))
    bad = draw_service_pb2.VoidDrawRequest(request_id=fresh("d"), account_id=account_id, hold_id="7")

    assert refusal(lambda: stubs.draws.RecordRepayment(unknown, timeout=5)).reason == "ACCOUNT_NOT_FOUND"
    assert refusal(lambda: stubs.draws.VoidDraw(bad, timeout=5)).fields == ("hold_id",)


def test_a_reference_is_stored_listed_and_part_of_what_the_key_stands_for(client: Client, account_id: str) -> None:
    key = new_request_id()
    held = client.authorize(account_id, _yuan(1_000), reference="order 17", request_id=key)
    plain = client.authorize(account_id, _yuan(1_000))
    captured = client.capture(account_id, held.hold.hold_id, _yuan(400), reference="parcel 1")
    paid = client.repay(account_id, _yuan(100), reference="transfer 9")

    assert [one.reference for one in client.postings(account_id)] == ["transfer 9", "parcel 1", "", "order 17"]
    assert {one.hold_id: one.reference for one in client.holds(account_id)} == {
        held.hold.hold_id: "order 17", plain.hold.hold_id: "",
    }  # fmt: skip
    assert (captured.hold.reference, client.posting(paid.posting_id).reference) == ("order 17", "transfer 9")
    with pytest.raises(errors.KeyReused):
        client.authorize(account_id, _yuan(1_000), reference="order 18", request_id=key)


def test_a_posting_is_found_by_its_id_and_by_its_callers_own_key_only(
    client: Client, server: Server, stubs: Stubs, account_id: str
) -> None:
    key = new_request_id()
    made = client.authorize(account_id, _yuan(1), request_id=key)
    decided = new_request_id()
    client.decide(account_id, "raise", request_id=decided)

    assert client.posting(made.posting_id) == client.posting(request_id=key) == made
    with Client(server.listen, caller="another") as another, pytest.raises(errors.NotFound) as unknown:
        another.posting(request_id=key)
    with pytest.raises(errors.NotFound) as no_posting:
        client.posting(request_id=decided)
    with pytest.raises(errors.NotFound) as nothing:
        client.posting("0" * 15 + "7")
    with pytest.raises(errors.NotFound) as beyond:
        client.posting("f" * 16)
    unsaid = refusal(lambda: stubs.draws.GetPosting(draw_service_pb2.GetPostingRequest(), timeout=5))

    assert {one.value.reason for one in (unknown, no_posting, nothing, beyond)} == {"POSTING_NOT_FOUND"}
    assert unsaid.fields == ("which",)


def test_holds_and_postings_are_listed_by_what_they_are(client: Client, stubs: Stubs, account_id: str) -> None:
    limit = client.account(account_id).balances.limit.minor_units
    first, second, third = (client.authorize(account_id, _yuan(1_000 + one)) for one in range(3))
    client.void(account_id, second.hold.hold_id)
    client.capture(account_id, third.hold.hold_id, _yuan(1_002))
    refused = client.authorize(account_id, _yuan(limit))
    client.repay(account_id, _yuan(2))

    def holds(*states: draw_pb2.HoldState.ValueType) -> list[str]:
        return [one.hold_id for one in client.holds(account_id, states=states, page_size=1)]

    def kinds(**filters: Any) -> list[int]:
        return [one.kind for one in client.postings(account_id, page_size=2, **filters)]

    everything = [third.hold.hold_id, second.hold.hold_id, first.hold.hold_id]
    assert holds() == everything
    assert holds(draw_pb2.HOLD_STATE_OPEN) == [first.hold.hold_id]
    assert holds(draw_pb2.HOLD_STATE_VOIDED, draw_pb2.HOLD_STATE_CAPTURED) == everything[:2]
    assert holds(draw_pb2.HOLD_STATE_EXPIRED) == []
    assert kinds() == [4, 1, 2, 3, 1, 1, 1]
    assert kinds(kinds=[draw_pb2.POSTING_KIND_REPAY, draw_pb2.POSTING_KIND_VOID]) == [4, 3]
    assert [one.posting_id for one in client.postings(account_id, outcomes=[decision_pb2.OUTCOME_DECLINED])] == [
        refused.posting_id
    ]
    assert kinds(posted_from=third.posted_at, posted_until=refused.posted_at) == [2, 3, 1]
    assert kinds(posted_until=first.posted_at) == []


def test_a_token_goes_with_its_own_list_and_filter(client: Client, stubs: Stubs, account_id: str) -> None:
    for _ in range(3):
        client.authorize(account_id, _yuan(1))
    request = draw_service_pb2.ListPostingsRequest
    token = stubs.draws.ListPostings(request(account_id=account_id, page_size=1), timeout=5).next_page_token
    with_another_size = request(account_id=account_id, page_size=2, page_token=token)
    wrong = [
        lambda: stubs.draws.ListPostings(
            request(account_id=account_id, page_token=token, kinds=[draw_pb2.POSTING_KIND_VOID]), timeout=5
        ),
        lambda: stubs.draws.ListPostings(request(account_id="other", page_token=token), timeout=5),
        lambda: stubs.draws.ListPostings(request(account_id=account_id, page_token=token[:-1]), timeout=5),
        lambda: stubs.draws.ListHolds(
            draw_service_pb2.ListHoldsRequest(account_id=account_id, page_token=token), timeout=5
        ),
    ]

    assert len(stubs.draws.ListPostings(with_another_size, timeout=5).postings) == 2
    assert [refusal(call).fields for call in wrong] == [("page_token",)] * 4


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"kinds": [0]}, "kinds[0]"),
        ({"kinds": [9]}, "kinds[0]"),
        ({"outcomes": [1, 4]}, "outcomes[1]"),
        ({"kinds": [1] * 9}, "kinds"),
        ({"posted_from": Timestamp(seconds=5)}, "posted_from"),
        ({"posted_from": Timestamp(seconds=2**30), "posted_until": Timestamp(seconds=2**30)}, "posted_until"),
    ],
)
def test_a_filter_that_can_let_nothing_through_is_refused(
    stubs: Stubs, account_id: str, said: dict[str, Any], field: str
) -> None:
    request = draw_service_pb2.ListPostingsRequest(account_id=account_id, **said)

    assert refusal(lambda: stubs.draws.ListPostings(request, timeout=5)).fields == (field,)


def test_accounts_are_read_by_many_ids_and_listed_by_what_they_are(
    client: Client, stubs: Stubs, account_id: str
) -> None:
    refused = client.decide(fresh("poor"), "assign", product="revolving", facts={"misuse_flags": 9}).account
    found = client.accounts([account_id, "nobody", refused.account_id])
    repeated = account_service_pb2.BatchGetAccountsRequest(account_ids=["a", "?", "a"])
    wrong = refusal(lambda: stubs.accounts.BatchGetAccounts(repeated, timeout=5))
    ids = ["?", account_id, "", "x" * 3_000]
    mixed = stubs.accounts.BatchGetAccounts(account_service_pb2.BatchGetAccountsRequest(account_ids=ids), timeout=5)

    assert found[0] == client.account(account_id)
    assert isinstance(found[1], errors.NotFound)
    assert found[2] == refused
    assert wrong.fields == ("account_ids[2]",)
    assert [one.account_id[:99] for one in mixed.results] == [one[:99] for one in ids]
    assert len(mixed.results[3].account_id.encode()) <= 256
    malformed = [errors.from_status(mixed.results[place].error, "") for place in (0, 2, 3)]
    assert {(one.reason, *(wrong.field for wrong in one.violations)) for one in malformed} == {
        ("INVALID_REQUEST", "account_ids")
    }
    assert mixed.results[1].account == found[0]
    everybody = [one.account_id for one in client.list_accounts(page_size=2)]
    assert everybody == sorted(everybody)
    assert {account_id, refused.account_id} <= set(everybody)
    applicants = [one.account_id for one in client.list_accounts(statuses=[refused.status], page_size=1)]
    assert refused.account_id in applicants
    assert account_id not in applicants
    assert list(client.list_accounts(product="unheard-of")) == []


def test_many_connections_on_one_account_never_exceed_its_limit(
    server: Server, client: Client, account_id: str
) -> None:
    limit = client.account(account_id).balances.limit.minor_units
    amount = limit // 10 + 1
    ready = threading.Barrier(8)
    refusals: list[str] = []

    def draw(number: int) -> list[str]:
        with Client(server.listen, caller=f"till-{number}") as till:
            till.account(account_id)
            ready.wait(10)
            held = []
            for _ in range(4):
                request_id = new_request_id()
                posting = till.authorize(account_id, _yuan(amount), request_id=request_id)
                if is_declined(posting):
                    refusals.append(posting.reasons[0].code)
                    continue
                again = till.authorize(account_id, _yuan(amount), request_id=request_id)
                assert again == posting
                held.append(posting.hold.hold_id)
            return held

    with ThreadPoolExecutor(8) as pool:
        held = [hold_id for found in pool.map(draw, range(8)) for hold_id in found]

    account = client.account(account_id)
    assert len(held) == len(set(held)) == 9
    assert refusals == ["LIMIT_USED"] * 23
    assert account.balances.held.minor_units == 9 * amount <= limit
    assert sum(posting.outcome == decision_pb2.OUTCOME_DECLINED for posting in client.postings(account_id)) == 23


def test_a_cut_below_what_is_drawn_leaves_nothing_available(client: Client, account_id: str) -> None:
    limit = client.account(account_id).balances.limit.minor_units
    client.authorize(account_id, _yuan(limit - 1_000))
    cut = client.decide(account_id, "reduce", facts={"dpd_now": 61})

    account = client.account(account_id)
    assert cut.decision.new_limit.minor_units <= limit
    assert account.balances.available.minor_units == max(
        account.balances.limit.minor_units - account.balances.held.minor_units, 0
    )
