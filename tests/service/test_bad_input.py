"""Bad input over the wire: the status of DESIGN 3, every field at fault named, the store unchanged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from holdline.client import Client, InvalidRequest
from holdline.v1 import account_pb2, account_service_pb2, decision_pb2, limit_service_pb2, policy_service_pb2
from holdline.v1.money_pb2 import Money

from service import bootstrap
from service.local_server import Server
from service.storage.opening import open_ledger
from service.storage.verify import verify
from tests.builders import document
from tests.service.wire import RAISE, Stubs, assign, facts, fresh, refusal

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(autouse=True)
def unchanged_store(request: pytest.FixtureRequest, server: object, folder: Path) -> Iterator[None]:
    """Hold the store before against the store after, where a test says that nothing is written."""
    writes = request.node.get_closest_marker("usefixtures") is not None
    before = _counts(folder)
    yield
    if not writes:
        assert _counts(folder) == before


@pytest.fixture
def writes() -> None:
    """Mark a test that writes on purpose."""


def _counts(folder: Path) -> tuple[int, int]:
    with open_ledger(f"sqlite:///{folder / 'holdline.db'}", bootstrap.now_us) as ledger:
        found = verify(ledger)
    assert found.faults == ()
    return found.accounts, found.decisions


def _money(minor_units: int, currency: str = "CNY") -> Money:
    return Money(minor_units=minor_units, currency_code=currency)


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"request_id": ""}, ("request_id",)),
        ({"request_id": "r" * 65}, ("request_id",)),
        ({"request_id": "tab\there"}, ("request_id",)),
        ({"request_id": "非ascii"}, ("request_id",)),
        ({"account_id": ""}, ("account_id",)),
        ({"account_id": "a" * 65}, ("account_id",)),
        ({"account_id": "a b"}, ("account_id",)),
        ({"account_id": "a\x00b"}, ("account_id",)),
        ({"account_id": "a\n"}, ("account_id",)),
        ({"product": ""}, ("product",)),
        ({"product": "Revolving"}, ("product",)),
        ({"kind": 0}, ("kind",)),
        ({"kind": 5}, ("kind",)),
        ({"kind": 99}, ("kind",)),
        ({"kind": -1}, ("kind",)),
        ({"expected_version": -1}, ("expected_version",)),
        ({"facts": account_pb2.Facts(monthly_income=_money(-1))}, ("facts.monthly_income.minor_units",)),
        ({"facts": account_pb2.Facts(monthly_income=_money(10**15 + 1))}, ("facts.monthly_income.minor_units",)),
        ({"facts": account_pb2.Facts(monthly_income=_money(1, "cny"))}, ("facts.monthly_income.currency_code",)),
        ({"facts": account_pb2.Facts(monthly_income=_money(1, ""))}, ("facts.monthly_income.currency_code",)),
        ({"facts": account_pb2.Facts(mean_transaction=_money(1, "EUR"))}, ("facts.mean_transaction.currency_code",)),
        ({"facts": account_pb2.Facts(dpd_now=-3)}, ("facts.dpd_now",)),
        ({"facts": account_pb2.Facts(bureau_score=901)}, ("facts.bureau_score",)),
        ({"facts": account_pb2.Facts(bureau_score=299)}, ("facts.bureau_score",)),
        ({"facts": account_pb2.Facts(identity_level=4)}, ("facts.identity_level",)),
        ({"facts": account_pb2.Facts(late_months_12m=13, payment_ratio_bp=10_001)}, ("facts.payment_ratio_bp", "facts.late_months_12m")),
        (
            {"request_id": "", "account_id": "?", "product": "!", "kind": 77, "expected_version": -5, "facts": account_pb2.Facts(dpd_now=-1)},
            ("request_id", "account_id", "product", "kind", "expected_version", "facts.dpd_now"),
        ),
    ],
)  # fmt: skip
def test_every_field_at_fault_is_named_at_once(stubs: Stubs, said: dict[str, Any], fields: tuple[str, ...]) -> None:
    found = refusal(lambda: stubs.limits.Decide(assign(**said), timeout=5))

    assert (found.code, found.reason, found.fields) == (INVALID, "INVALID_REQUEST", fields)
    assert found.metadata["violations"] == str(len(fields))


def test_the_message_says_field_problem_and_way_out(stubs: Stubs) -> None:
    bad = assign(facts=account_pb2.Facts(dpd_now=-3))

    found = refusal(lambda: stubs.limits.Decide(bad, timeout=5))

    assert found.message == "facts.dpd_now: -3 is out of range; days from 0 to 36500"


def test_an_unknown_account_and_an_unknown_product_are_not_found(stubs: Stubs) -> None:
    nobody = refusal(lambda: stubs.limits.Decide(assign(kind=RAISE, product="", account_id="nobody"), timeout=5))
    nothing = refusal(lambda: stubs.limits.Decide(assign(product="unheard-of"), timeout=5))
    unread = refusal(
        lambda: stubs.accounts.GetAccount(account_service_pb2.GetAccountRequest(account_id="nobody"), timeout=5)
    )

    assert (nobody.code, nobody.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
    assert (nothing.code, nothing.reason) == (grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")
    assert unread.metadata == {"account_id": "nobody"}


@pytest.mark.usefixtures("writes")
def test_a_stale_version_aborts_and_leaves_the_key_free(stubs: Stubs) -> None:
    made = stubs.limits.Decide(assign(), timeout=5)
    stale = assign(account_id=made.account.account_id, kind=RAISE, product="", expected_version=9)

    found = refusal(lambda: stubs.limits.Decide(stale, timeout=5))
    stale.expected_version = 1
    mended = stubs.limits.Decide(stale, timeout=5)

    assert (found.code, found.reason) == (grpc.StatusCode.ABORTED, "VERSION_MISMATCH")
    assert (found.metadata["expected_version"], found.metadata["actual_version"]) == ("9", "1")
    assert mended.decision.account_version == 2


@pytest.mark.usefixtures("writes")
def test_a_second_first_limit_and_a_reused_key_exist_already(stubs: Stubs) -> None:
    first = assign()
    stubs.limits.Decide(first, timeout=5)
    second = assign(account_id=first.account_id)
    reused = assign(request_id=first.request_id)

    exists = refusal(lambda: stubs.limits.Decide(second, timeout=5))
    taken = refusal(lambda: stubs.limits.Decide(reused, timeout=5))

    assert (exists.code, exists.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ACCOUNT_EXISTS")
    assert (taken.code, taken.reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ((("x-holdline-caller", "a/b"),), "metadata.x-holdline-caller"),
        ((("x-holdline-caller", "c" * 65),), "metadata.x-holdline-caller"),
        ((("x-holdline-criticality", "urgent"),), "metadata.x-holdline-criticality"),
        ((("x-holdline-caller", "billing"), ("x-holdline-caller", "root")), "metadata.x-holdline-caller"),
        ((("x-holdline-caller", "billing"), ("x-holdline-caller", "billing")), "metadata.x-holdline-caller"),
        ((("x-holdline-caller", ""),), "metadata.x-holdline-caller"),
        ((("x-holdline-criticality", "batch"), ("x-holdline-criticality", "batch")), "metadata.x-holdline-criticality"),
    ],
)
def test_invalid_metadata_is_named(stubs: Stubs, metadata: tuple[tuple[str, str], ...], field: str) -> None:
    found = refusal(lambda: stubs.limits.Decide(assign(), timeout=5, metadata=metadata))

    assert (found.code, found.fields) == (INVALID, (field,))


def test_a_batch_of_one_thousand_and_one_is_refused_whole(stubs: Stubs) -> None:
    batch = limit_service_pb2.BatchDecideRequest(requests=[assign() for _ in range(1_001)])

    found = refusal(lambda: stubs.limits.BatchDecide(batch, timeout=5))

    assert (found.code, found.fields) == (INVALID, ("requests",))
    empty = refusal(lambda: stubs.limits.BatchDecide(limit_service_pb2.BatchDecideRequest(), timeout=5))
    assert empty.fields == ("requests",)


def test_duplicate_keys_in_a_batch_are_refused_whole_each_named(stubs: Stubs) -> None:
    requests = [assign(), assign(request_id="twin"), assign(), assign(request_id="twin"), assign(request_id="twin")]

    found = refusal(
        lambda: stubs.limits.BatchDecide(limit_service_pb2.BatchDecideRequest(requests=requests), timeout=5)
    )

    assert (found.code, found.fields) == (INVALID, ("requests[3].request_id", "requests[4].request_id"))


@pytest.mark.usefixtures("writes")
def test_one_bad_item_of_a_batch_fails_alone(stubs: Stubs) -> None:
    requests = [assign(), assign(account_id="?"), assign(kind=RAISE, product="", account_id="nobody"), assign()]

    results = stubs.limits.BatchDecide(limit_service_pb2.BatchDecideRequest(requests=requests), timeout=5).results

    assert [result.WhichOneof("result") for result in results] == ["response", "error", "error", "response"]
    assert [result.error.code for result in results] == [0, INVALID.value[0], grpc.StatusCode.NOT_FOUND.value[0], 0]


@pytest.mark.parametrize("size", [20_000, 1_100_000, 2_000_000, 8_000_000])
def test_an_oversized_message_is_refused_for_good(stubs: Stubs, size: int) -> None:
    found = refusal(lambda: stubs.limits.Decide(assign(request_id="x" * size), timeout=20))

    assert (found.code, found.reason, found.retry_ms) == (INVALID, "REQUEST_TOO_LARGE", 0)


def test_a_message_that_no_server_reads_is_no_overload_for_our_client(server: Server) -> None:
    with Client(server.listen, caller="huge", timeout_seconds=20) as client, pytest.raises(InvalidRequest):
        client.validate_policy("x" * 9_000_000)


@pytest.mark.parametrize("count", [200, 1_000])
def test_a_batch_of_repeated_ids_is_refused_for_good(stubs: Stubs, count: int) -> None:
    batch = limit_service_pb2.BatchDecideRequest(requests=[assign(request_id="x" * 64) for _ in range(count)])

    found = refusal(lambda: stubs.limits.BatchDecide(batch, timeout=20))

    assert (found.code, found.reason, found.retry_ms) == (INVALID, "INVALID_REQUEST", 0)
    assert found.metadata["violations"] == str(count - 1)
    assert found.fields[0] == "requests[1].request_id"


def test_a_message_in_many_bytes_is_refused_for_good(stubs: Stubs) -> None:
    bad = "\n".join(f"{'汉' * 300}{place}: 1" for place in range(100))
    request = policy_service_pb2.PublishPolicyRequest(request_id=fresh(), document=bad)

    found = refusal(lambda: stubs.policies.PublishPolicy(request, timeout=20))

    assert (found.code, found.reason) == (INVALID, "INVALID_REQUEST")


def test_bytes_that_are_no_message_are_refused(stubs: Stubs) -> None:
    call: Any = stubs.channel.unary_unary("/holdline.v1.LimitService/Decide")

    found = refusal(lambda: call(b"\xff\xff\xff\xff", timeout=5))

    assert (found.code, found.reason) == (INVALID, "INVALID_REQUEST")


def test_an_unknown_method_is_unimplemented(stubs: Stubs) -> None:
    call: Any = stubs.channel.unary_unary("/holdline.v1.LimitService/Forget")

    found = refusal(lambda: call(b"", timeout=5))

    assert found.code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("method", "message", "fields"),
    [
        ("GetAccount", account_service_pb2.GetAccountRequest(), ("account_id",)),
        ("ListDecisions", limit_service_pb2.ListDecisionsRequest(account_id="!", page_size=-1, page_token="zz"),
         ("account_id", "page_size", "page_token")),
        ("ListDecisions", limit_service_pb2.ListDecisionsRequest(account_id="a", page_size=1_001), ("page_size",)),
        ("ListDecisions", limit_service_pb2.ListDecisionsRequest(account_id="a", page_token="f" * 16), ("page_token",)),
        ("ExplainDecision", limit_service_pb2.ExplainDecisionRequest(decision_id="17"), ("decision_id",)),
        ("Evaluate", limit_service_pb2.EvaluateRequest(kind=decision_pb2.DecisionKind.ValueType(9), policy_version="*", mode_id="storm"),
         ("account_id", "kind", "policy_version", "mode_id")),
    ],
)  # fmt: skip
def test_reads_name_their_fields_too(stubs: Stubs, method: str, message: Any, fields: tuple[str, ...]) -> None:
    stub = stubs.accounts if method == "GetAccount" else stubs.limits
    found = refusal(lambda: getattr(stub, method)(message, timeout=5))

    assert (found.code, found.fields) == (INVALID, fields)


def test_unknown_decisions_and_policies_are_not_found(stubs: Stubs) -> None:
    decision = refusal(
        lambda: stubs.limits.ExplainDecision(limit_service_pb2.ExplainDecisionRequest(decision_id="f" * 16), timeout=5)
    )
    policy = refusal(lambda: stubs.policies.GetPolicy(policy_service_pb2.GetPolicyRequest(version="none"), timeout=5))

    assert (decision.code, decision.reason) == (grpc.StatusCode.NOT_FOUND, "DECISION_NOT_FOUND")
    assert (policy.code, policy.reason) == (grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"limit": _money(-5)}, ("limit.minor_units",)),
        ({"outstanding": _money(5, "EUR")}, ("outstanding.currency_code",)),
        ({"limit": _money(5, "EUR")}, ("limit.currency_code",)),
        ({"product": ""}, ("product",)),
    ],
)
def test_an_import_at_fault_fails_alone_with_its_fields(
    stubs: Stubs, said: dict[str, Any], fields: tuple[str, ...]
) -> None:
    good = {
        "request_id": fresh(), "account_id": fresh(), "product": "revolving", "limit": _money(100_000), "facts": facts(),
    }  # fmt: skip
    request = account_service_pb2.ImportAccountsRequest(
        accounts=[account_service_pb2.ImportAccount(**{**good, **said})]
    )

    result = stubs.accounts.ImportAccounts(request, timeout=5).results[0]

    assert result.error.code == INVALID.value[0]
    assert all(field in result.error.message for field in fields)


def test_a_policy_with_mistakes_is_refused_with_each_path(stubs: Stubs) -> None:
    bad = document().replace("fact: misuse_flags", "fact: religion").replace("unit_minor: 1000", "unit_minor: 0")

    found = refusal(
        lambda: stubs.policies.PublishPolicy(
            policy_service_pb2.PublishPolicyRequest(request_id=fresh(), document=bad), timeout=5
        )
    )
    validated = stubs.policies.ValidatePolicy(policy_service_pb2.ValidatePolicyRequest(document=bad), timeout=5)

    assert found.code is INVALID
    assert found.fields == ("document.rounding.unit_minor",)
    assert [violation.path for violation in validated.violations] == ["rounding.unit_minor"]
