"""Events in bytes: a meaning that never changes, ids that can't be taken for others, results that parse."""

from datetime import UTC, datetime

import pytest
from holdline.client.requests import event
from holdline.v1 import event_pb2, event_service_pb2
from holdline.v1.account_pb2 import Facts
from holdline.v1.money_pb2 import Money

from service.bootstrap import ZoneCalendar
from service.domain.book import Answered
from service.domain.errors import AccountNotFound, HoldlineError, InvalidRequest
from service.domain.event import TAKEN, TAKEN_BEFORE, EventCommand
from service.engine.ports.codec import Call, Work
from service.rpc.events import PATHS, EventCalls

What = (
    event_pb2.Transaction
    | event_pb2.Repayment
    | event_pb2.Statement
    | event_pb2.Enquiry
    | event_pb2.MisuseFlag
    | event_pb2.ProfileUpdate
)
AMOUNT = Money(minor_units=12_345, currency_code="CNY")
AT = datetime(2026, 5, 17, 9, 30, tzinfo=UTC)
CALLS = EventCalls(ZoneCalendar("UTC"))


def _work(*events: event_pb2.Event) -> Work:
    body = event_service_pb2.RecordEventsRequest(events=events).SerializeToString()
    return CALLS.work(PATHS[0], Call(0, "feed", 1 << 62, "", body))


@pytest.mark.parametrize(
    ("what", "fingerprint"),
    [
        (event_pb2.Transaction(amount=AMOUNT), "faddc929db0e58d8754394c8886be84a"),
        (event_pb2.Repayment(amount=AMOUNT), "9de417304a26c8d12426348fb21aa08d"),
        (event_pb2.Statement(amount=AMOUNT, due_date="2026-06-10"), "c13f799fc82626dbe830db6d2e1965eb"),
        (event_pb2.Enquiry(), "4728486c609115693c6051d379565e9e"),
        (event_pb2.MisuseFlag(finding="cash_out"), "f2f58786b0a36c75e0eb381b47842f89"),
        (
            event_pb2.ProfileUpdate(facts=Facts(bureau_score=700, monthly_income=AMOUNT)),
            "0b9d25d140f99854f0ac2e4b7b5ed459",
        ),
    ],
)
def test_the_fingerprint_of_an_event_is_what_older_versions_stored(what: What, fingerprint: str) -> None:
    (command,) = _work(event("acc-1", what, AT, event_id="e-1")).commands

    assert isinstance(command, EventCommand)
    assert command.fingerprint.hex() == fingerprint


def test_an_accounts_id_with_a_slash_is_refused_and_never_read_as_another_accounts_event() -> None:
    theirs, ours = _work(
        event("acc/1", event_pb2.Enquiry(), AT, event_id="e-1"), event("acc", event_pb2.Enquiry(), AT, event_id="1/e-1")
    ).commands

    assert isinstance(theirs, InvalidRequest)
    assert [violation.field for violation in theirs.violations] == ["account_id"]
    assert isinstance(ours, EventCommand)
    assert ours.key == "acc/1/e-1"


def test_results_parse_to_what_was_answered_whatever_the_length_of_the_id() -> None:
    event_ids = ["e" * length for length in range(1, 65)]
    account_ids = ["a" * (65 - len(event_id)) for event_id in event_ids] + ["acc-0", "acc-1"]
    work = Work([], [*event_ids, "before", "unknown"], account_ids)
    answers: list[Answered | HoldlineError] = [
        *[TAKEN] * len(event_ids),
        TAKEN_BEFORE,
        AccountNotFound(account_id="acc-1"),
    ]

    results = event_service_pb2.RecordEventsResponse.FromString(CALLS.response(PATHS[0], work, answers)).results

    assert [result.event_id for result in results] == work.request_ids
    assert [result.account_id for result in results] == account_ids
    assert [result.replayed for result in results] == [False] * len(event_ids) + [True, False]
    assert [result.error.code for result in results] == [0] * len(event_ids) + [0, 5]
