"""Behaviour events over the wire: what decisions see of them, what is refused, batch and stream alike."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.rpc import error_details_pb2
from holdline.client import Client, errors
from holdline.client.requests import event
from holdline.v1 import event_pb2 as ev
from holdline.v1.account_pb2 import Facts
from holdline.v1.money_pb2 import Money

from service.local_server import Server
from tests.proof.journal import ONCE
from tests.service.wire import Stubs, assign, fresh

NOW = datetime.now(UTC)


def _yuan(minor_units: int) -> Money:
    return Money(minor_units=minor_units, currency_code="CNY")


def _ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def _date(days: int) -> str:
    """Give a business date so many days ago, in the server's zone or a day beside it."""
    return _ago(days).date().isoformat()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.listen, caller="feed", retry=ONCE) as found:
        yield found


@pytest.fixture
def account_id(stubs: Stubs) -> str:
    return stubs.limits.Decide(assign(), timeout=5).account.account_id


def _reason(result: ev.EventResult) -> str:
    info = error_details_pb2.ErrorInfo()
    assert result.error.details[0].Unpack(info)
    return str(info.reason)


def _fields(result: ev.EventResult) -> list[str]:
    bad = error_details_pb2.BadRequest()
    assert result.error.details[1].Unpack(bad)
    return [violation.field for violation in bad.field_violations]


def test_decisions_see_what_events_tell_whatever_the_order_and_however_often(client: Client, account_id: str) -> None:
    events = [
        event(account_id, ev.Repayment(amount=_yuan(400)), _ago(5), event_id="p-1"),
        event(account_id, ev.Transaction(amount=_yuan(100)), _ago(1), event_id="t-1"),
        event(account_id, ev.Statement(due_date=_date(20), amount=_yuan(400)), _ago(40), event_id="s-1"),
        event(account_id, ev.Transaction(amount=_yuan(300)), _ago(2), event_id="t-2"),
        event(account_id, ev.Transaction(amount=_yuan(9_000)), _ago(31), event_id="t-3"),
        event(account_id, ev.MisuseFlag(finding="cash_out"), _ago(3), event_id="m-1"),
        event(account_id, ev.ProfileUpdate(facts=Facts(bureau_score=801)), datetime.now(UTC), event_id="u-1"),
    ]
    first = client.record_events(events)
    again = client.record_events(events[::-1])
    decided = client.decide(account_id, "raise")

    assert [result.error.code for result in first] == [0] * 7
    assert not any(result.replayed for result in first)
    assert all(result.replayed for result in again)
    facts = decided.account.facts
    assert facts.bureau_score == 801
    assert facts.misuse_flags == 1
    assert 14 <= facts.dpd_max_12m <= 16
    assert facts.dpd_now == 0
    assert facts.late_months_12m == 1
    assert facts.on_time_streak_months == 0
    assert facts.mean_transaction == _yuan(200)
    assert client.account(account_id).facts == facts


def test_days_past_due_grow_by_themselves(client: Client, account_id: str) -> None:
    client.record_events(
        [event(account_id, ev.Statement(due_date=_date(33), amount=_yuan(700)), _ago(60), event_id="s-1")]
    )

    assert 32 <= client.account(account_id).facts.dpd_now <= 34
    # The feed was quiet for longer than the policy takes its word.
    assert client.decide(account_id, "raise").decision.reasons[0].code == "PAYMENTS_OLD"

    client.record_events([event(account_id, ev.Enquiry(), NOW, event_id="e-1")])
    assert client.decide(account_id, "raise").decision.reasons[0].code == "PAST_DUE_30"


def test_each_bad_event_is_refused_by_name_and_its_neighbours_are_taken(client: Client, account_id: str) -> None:
    good = event(account_id, ev.Enquiry(), NOW, event_id="e-good")
    results = client.record_events(
        [
            good,
            event(account_id, ev.Enquiry(), NOW + timedelta(hours=1), event_id="e-future"),
            event(account_id, ev.Enquiry(), _ago(500), event_id="e-old"),
            event(fresh("nobody"), ev.Enquiry(), NOW, event_id="e-unknown"),
            event(account_id, ev.Transaction(amount=Money(minor_units=5, currency_code="EUR")), NOW, event_id="e-eur"),
            event(account_id, ev.Transaction(amount=_yuan(0)), NOW, event_id="e-none"),
            event(account_id, ev.Statement(due_date="soon", amount=_yuan(1)), NOW, event_id="e-soon"),
            event(account_id, ev.MisuseFlag(finding="Not a name"), NOW, event_id="e-name"),
            event(account_id, ev.ProfileUpdate(facts=Facts(dpd_now=0)), NOW, event_id="e-dpd"),
            ev.Event(event_id="e-empty", account_id=account_id),
            event(account_id, ev.Repayment(amount=_yuan(5)), NOW, event_id=""),
        ]
    )
    reused = client.record_events([event(account_id, ev.Transaction(amount=_yuan(1)), NOW, event_id="e-good")])

    assert results[0].error.code == 0
    assert [_reason(result) for result in results[1:]] == [
        "INVALID_REQUEST", "EVENT_TOO_OLD", "ACCOUNT_NOT_FOUND", *["INVALID_REQUEST"] * 7,
    ]  # fmt: skip
    assert [_fields(results[place]) for place in (1, 4, 5, 6, 7, 8, 9, 10)] == [
        ["occurred_at"], ["transaction.amount.currency_code"], ["transaction.amount.minor_units"],
        ["statement.due_date"], ["misuse_flag.finding"], ["profile_update.facts.dpd_now"],
        ["occurred_at", "what"], ["event_id"],
    ]  # fmt: skip
    assert _reason(reused[0]) == "IDEMPOTENCY_KEY_REUSED"


def test_facts_at_fault_in_an_update_are_named_with_their_path(client: Client, account_id: str) -> None:
    income = Facts(monthly_income=Money(minor_units=5, currency_code="EUR"))
    results = client.record_events(
        [
            event(account_id, ev.ProfileUpdate(facts=Facts(bureau_score=901)), NOW, event_id="e-range"),
            event(account_id, ev.ProfileUpdate(facts=income), NOW, event_id="e-foreign"),
        ]
    )

    assert [_fields(result) for result in results] == [
        ["profile_update.facts.bureau_score"], ["profile_update.facts.monthly_income.currency_code"],
    ]  # fmt: skip


def test_a_batch_of_none_or_of_the_same_event_twice_is_refused(client: Client, account_id: str) -> None:
    one = event(account_id, ev.Enquiry(), NOW, event_id="e-1")
    for batch in ([], [one, one]):
        with pytest.raises(errors.InvalidRequest):
            client.record_events(batch)


def test_a_stream_takes_events_and_counts_them_once(client: Client, account_id: str) -> None:
    batches = [
        [event(account_id, ev.Enquiry(), _ago(day), event_id=f"e-{day}-{n}") for n in range(3)] for day in range(5)
    ]
    results = list(client.stream_events([*batches, batches[0]], timeout_seconds=20))

    assert sum(not result.replayed for result in results) == 15
    assert sum(result.replayed for result in results) == 3
    assert client.account(account_id).facts.enquiries_30d >= 15
