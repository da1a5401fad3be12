"""Temporary raises over the wire: within the policy's bounds, by order, what is refused, and the way back."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from holdline.client import Client, errors, is_declined
from holdline.client.requests import raise_until
from holdline.v1 import decision_pb2
from holdline.v1.money_pb2 import Money

from service.local_server import Server
from tests.proof.journal import ONCE
from tests.service.oncall import As
from tests.service.wire import Stubs, assign


def _yuan(minor_units: int) -> Money:
    return Money(minor_units=minor_units, currency_code="CNY")


def _in(**span: float) -> datetime:
    return datetime.now(UTC) + timedelta(**span)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.listen, caller="app", retry=ONCE) as found:
        yield found


@pytest.fixture
def account_id(stubs: Stubs) -> str:
    return stubs.limits.Decide(assign(), timeout=5).account.account_id


def test_it_is_granted_within_the_policys_bounds_and_falls_back_by_itself(client: Client, account_id: str) -> None:
    before = client.account(account_id)
    asked = raise_until(_yuan(100_000), _in(seconds=2))
    granted = client.decide(account_id, "temporary_raise", temporary_raise=asked)
    hold = client.authorize(account_id, _yuan(before.balances.available.minor_units + 50_000))
    during = client.account(account_id)
    time.sleep(2.1)
    after = client.account(account_id)

    assert granted.decision.outcome == decision_pb2.OUTCOME_APPROVED
    assert granted.decision.old_limit == before.balances.limit
    assert granted.decision.new_limit == before.balances.limit == during.balances.limit
    assert granted.decision.balances.effective_limit.minor_units == before.balances.limit.minor_units + 100_000
    assert granted.account.balances == granted.decision.balances
    assert hold.balances.effective_limit == during.balances.effective_limit == granted.decision.balances.effective_limit
    assert hold.balances.limit == before.balances.limit
    assert during.temporary_raise == asked
    assert during.balances.available.minor_units == 50_000
    assert after.balances.limit == after.balances.effective_limit == before.balances.limit
    assert not after.HasField("temporary_raise")
    assert after.balances.held == hold.balances.held
    assert after.balances.available.minor_units == 0
    assert is_declined(client.authorize(account_id, _yuan(1)))


def test_too_much_is_cut_to_the_bound_too_long_and_a_late_payer_are_declined(client: Client, account_id: str) -> None:
    limit = client.account(account_id).balances.limit.minor_units
    much = client.decide(account_id, "temporary_raise", temporary_raise=raise_until(_yuan(limit), _in(days=3)))
    long = client.decide(account_id, "temporary_raise", temporary_raise=raise_until(_yuan(1_000), _in(days=60)))
    late = client.decide(
        account_id, "temporary_raise", facts={"dpd_now": 5}, temporary_raise=raise_until(_yuan(1_000), _in(days=3))
    )

    assert (
        much.decision.balances.effective_limit.minor_units == limit + min(limit * 3 // 10, 2_000_000) // 1_000 * 1_000
    )
    assert [reason.code for reason in much.decision.reasons] == ["TEMPORARY_GRANTED", "TEMPORARY_TOO_MUCH"]
    assert [reason.code for reason in long.decision.reasons] == ["TEMPORARY_TOO_LONG"]
    assert [reason.code for reason in late.decision.reasons] == ["PAST_DUE_NOW"]
    assert late.account.temporary_raise == much.account.temporary_raise


def test_a_product_that_has_none_says_so(client: Client, stubs: Stubs) -> None:
    facts = assign().facts
    for name in ("monthly_income", "mean_transaction"):
        getattr(facts, name).currency_code = "EUR"
    account_id = stubs.limits.Decide(assign(product="instalment", facts=facts), timeout=5).account.account_id
    asked = raise_until(Money(minor_units=100, currency_code="EUR"), _in(days=1))
    declined = client.decide(account_id, "temporary_raise", temporary_raise=asked)

    assert [reason.code for reason in declined.decision.reasons] == ["TEMPORARY_NOT_OFFERED"]


def test_an_order_needs_the_role_and_no_rule_and_a_cut_ends_it(as_: As) -> None:
    caller, olga = as_("anna"), as_("olga")
    account_id = caller.send(assign()).account.account_id
    limit = caller.account(account_id).balances.limit.minor_units
    asked = raise_until(_yuan(limit), _in(days=90))
    with pytest.raises(errors.PermissionDenied):
        caller.grant_temporary_raise(account_id, asked, "a birth")
    ordered = olga.grant_temporary_raise(account_id, asked, "a birth", request_id="order-1")
    with pytest.raises(errors.InvalidRequest) as silent:
        olga.grant_temporary_raise(account_id, asked, " ")
    again = olga.grant_temporary_raise(account_id, asked, "a birth", request_id="order-1")
    cut = caller.decide(account_id, "reduce", facts={"dpd_now": 61})

    assert [reason.code for reason in ordered.decision.reasons] == ["TEMPORARY_ORDERED"]
    assert ordered.account.balances.effective_limit.minor_units == 2 * limit
    assert [one.field for one in silent.value.violations] == ["reason"]
    assert again.replayed
    assert again.decision == ordered.decision
    assert cut.decision.new_limit.minor_units < limit
    assert cut.account.balances.limit == cut.decision.new_limit
    assert not cut.account.HasField("temporary_raise")


def test_playbooks_that_hold_raises_hold_temporary_ones(as_: As) -> None:
    caller, olga = as_("anna"), as_("olga")
    account_id = caller.send(assign()).account.account_id
    olga.activate("freeze_raises", ttl_seconds=60, reason="a test", incident="INC-1")
    frozen = olga.grant_temporary_raise(account_id, raise_until(_yuan(1_000), _in(days=1)), "a test")

    assert frozen.decision.outcome != decision_pb2.OUTCOME_APPROVED
    assert frozen.decision.new_limit == frozen.decision.old_limit
    assert not frozen.account.HasField("temporary_raise")


def test_bad_input_names_its_field(client: Client, account_id: str) -> None:
    good = raise_until(_yuan(1_000), _in(days=1))
    cases = [
        ("raise", good, "temporary_raise"),
        ("temporary_raise", None, "temporary_raise"),
        ("temporary_raise", raise_until(_yuan(0), _in(days=1)), "temporary_raise.extra.minor_units"),
        ("temporary_raise", raise_until(_yuan(1_000), _in(days=-1)), "temporary_raise.until"),
        ("temporary_raise", raise_until(_yuan(1_000), _in(days=400)), "temporary_raise.until"),
        (
            "temporary_raise",
            raise_until(Money(minor_units=5, currency_code="EUR"), _in(days=1)),
            "temporary_raise.extra.currency_code",
        ),
    ]
    for kind, asked, field in cases:
        with pytest.raises(errors.InvalidRequest) as refused:
            client.decide(account_id, kind, temporary_raise=asked)
        assert [violation.field for violation in refused.value.violations] == [field]
