"""Customers' notices leave a live server: to a signed webhook, a file and Kafka; dead ones are looked at and sent again."""

import json
import time
from pathlib import Path

import pytest
from holdline.client import Client, errors, is_declined
from holdline.v1 import notification_service_pb2 as pb
from holdline.v1.money_pb2 import Money

from service.domain.watch import Message, MessageState
from service.local_server import Server, running_server
from service.sentry.delivery import Deliverer
from service.sentry.sinks import Kafka, LinesFile
from tests.builders import NOW_US
from tests.proof.journal import wait_until
from tests.service.command_line import invoked
from tests.service.oncall import As
from tests.service.wire import assign
from tests.unit.test_delivery import SECRET, receiving

INTERNALS = ("policy", "score", "mode", "caller", "points", "reference-2026")


def _yuan(minor_units: int) -> Money:
    return Money(minor_units=minor_units, currency_code="CNY")


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_notices_reach_a_file_in_order_with_reasons_and_advice_and_no_internals(tmp_path: Path) -> None:
    told = tmp_path / "notices.jsonl"
    with running_server(tmp_path, "--set", f"notice_to=file:{told}") as server, Client(server.listen) as client:
        account_id = client.send(assign()).account.account_id
        raised = client.decide(account_id, "raise")
        client.decide(account_id, "raise")
        assert is_declined(client.authorize(account_id, _yuan(10**9)))
        wait_until(lambda: len(_lines(told)) == 4, 20, "four notices were written")
        wait_until(lambda: len(list(client.notices(["delivered"]))) == 4, 20, "the outbox knows")
        of_account = [one.kind for one in client.notices(account_id=account_id)]
        shown = invoked("outbox", "notices", "--account", account_id, server=server)

    first, second, third, fourth = _lines(told)
    assert [one["kind"] for one in (first, second, third, fourth)] == [
        "limit_assigned", "limit_raised", "raise_declined", "draw_declined",
    ]  # fmt: skip
    assert {one["account_id"] for one in _lines(told)} == {account_id}
    assert second["record"] == raised.decision.decision_id
    assert second["limit_before"] == {
        "minor_units": raised.decision.old_limit.minor_units, "currency_code": "CNY",
    }  # fmt: skip
    reasons = third["reasons"]
    assert isinstance(reasons, list)
    (waits,) = reasons
    assert waits["code"] == "WAIT_AFTER_RAISE"
    assert [one["language_code"] for one in waits["texts"]] == ["zh", "en"]
    assert all(one["text"] for one in waits["texts"])
    assert third["tell_by"]
    assert not any(word in told.read_text(encoding="utf-8") for word in INTERNALS)
    assert of_account == ["draw_declined", "raise_declined", "limit_raised", "limit_assigned"]
    assert "raise_declined" in shown.stdout


def test_a_receiver_that_fails_gets_the_rest_later_in_order_and_dead_ones_again(tmp_path: Path) -> None:
    with receiving(500, 500) as receiver:
        flags = ("notice_to=" + receiver.url, f"notice_secret={SECRET}", "alert_attempts_max=2")
        settings = [part for flag in flags for part in ("--set", flag)]
        with running_server(tmp_path, *settings) as server, Client(server.listen) as client:
            account_id = client.send(assign()).account.account_id
            client.decide(account_id, "raise")
            wait_until(lambda: len(list(client.notices(["delivered"]))) == 1, 30, "the second was told")
            dead = list(client.notices(["dead"]))
            redriven = invoked("outbox", "redrive", "--all", "--reason", "again", "--json", server=server)
            wait_until(lambda: len(list(client.notices(["delivered"]))) == 2, 30, "the first was told, too")
            again = client.redrive([dead[0].message_id], reason="tests")

    told = [json.loads(body)["kind"] for _, body in receiver.received]
    assert told == ["limit_assigned", "limit_assigned", "limit_raised", "limit_assigned"]
    assert [(one.kind, one.attempts) for one in dead] == [("limit_assigned", 2)]
    assert json.loads(redriven.stdout) == {"redriven": 1}
    assert again == 0
    ids = [headers["Holdline-Message-Id"] for headers, _ in receiver.received]
    assert ids[0] == ids[1] == ids[3] != ids[2]


def _message(sequence: int, account_id: str) -> Message:
    body = json.dumps({"n": sequence})
    return Message(sequence, "notice", "info", body, NOW_US, NOW_US, 0, MessageState.WAITING, account_id, 1)


def test_kafka_gets_each_message_keyed_by_its_account() -> None:
    from confluent_kafka import Consumer

    sink = Kafka({"bootstrap.servers": "", "test.mock.num.brokers": 1}, "notices")
    deliverer = Deliverer(sink, 3, 10, lambda: NOW_US, is_logged=False)
    done = [deliverer.deliver(_message(number, f"a-{number % 2}")) for number in range(6)]
    assert sink._producer is not None
    brokers = ",".join(f"127.0.0.1:{broker.port}" for broker in sink._producer.list_topics(timeout=5).brokers.values())
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe(["notices"])
    found: list[tuple[str, int]] = []
    give_up_at = time.monotonic() + 30
    while len(found) < 6 and time.monotonic() < give_up_at:
        got = consumer.poll(0.5)
        if got is not None and got.error() is None:
            key, value = got.key(), got.value()
            assert key is not None
            assert value is not None
            found.append((key.decode(), json.loads(value)["n"]))
    consumer.close()

    assert [one.state for one in done] == [MessageState.DELIVERED] * 6
    assert [n for key, n in found if key == "a-0"] == [0, 2, 4]
    assert [n for key, n in found if key == "a-1"] == [1, 3, 5]


def test_kafka_out_of_reach_and_a_file_that_cannot_be_written_are_no_receipts(tmp_path: Path) -> None:
    kafka = Kafka({"bootstrap.servers": "127.0.0.1:1", "log_level": 0, "message.timeout.ms": 500}, "notices")

    assert not kafka.accept(_message(1, "a"))
    assert not LinesFile(tmp_path / "missing" / "notices.jsonl").accept(_message(1, "a"))


def test_the_outbox_is_for_everybody_and_redriving_for_on_call(as_: As, guarded: Server) -> None:
    account_id = as_("anna").send(assign()).account.account_id
    seen = list(as_("ann").notices(account_id=account_id))

    assert [one.kind for one in seen] == ["limit_assigned"]
    with pytest.raises(errors.PermissionDenied):
        as_("ann").redrive(["0" * 16], reason="tests")
    with pytest.raises(errors.InvalidRequest) as refused:
        as_("olga").redrive(["0" * 16, "what"], reason="tests")
    assert [violation.field for violation in refused.value.violations] == ["message_ids[1]"]
    with pytest.raises(errors.InvalidRequest) as too_many:
        as_("olga").redrive([""] * 1_001, reason="tests")
    assert [violation.field for violation in too_many.value.violations] == ["message_ids"]
    with pytest.raises(errors.NotFound):
        list(as_("ann").notices(account_id="nobody"))


def test_alerts_are_for_operators_with_what_they_tell_and_notices_by_state(as_: As) -> None:
    account_id = as_("anna").send(assign()).account.account_id
    with pytest.raises(errors.PermissionDenied):
        list(as_("anna").alerts())
    alerts = list(as_("olga").alerts())

    assert [one.kind for one in as_("ann").notices(account_id=account_id)] == ["limit_assigned"]
    assert list(as_("ann").notices(["dead"], account_id=account_id)) == []
    assert all(one.kind and one.severity for one in alerts)
    assert [one.message_id for one in alerts] == sorted((one.message_id for one in alerts), reverse=True)


@pytest.mark.parametrize("states", [["waiting"], [], ["waiting", "delivered"]])
def test_a_token_of_one_list_of_notices_is_refused_by_every_other(as_: As, states: list[str]) -> None:
    for _ in range(2):
        as_("anna").send(assign())
    page = as_("ann")._notifications.ListNotices(pb.ListNoticesRequest(page_size=1), metadata=as_("ann")._metadata)
    other = pb.ListNoticesRequest(
        page_token=page.next_page_token,
        account_id="" if states else page.notices[0].account_id,
        states=[pb.MessageState.Value(f"MESSAGE_STATE_{state.upper()}") for state in states],
    )
    with pytest.raises(errors.InvalidRequest) as refused:
        as_("ann")._call(as_("ann")._notifications.ListNotices, other, "")

    assert [violation.field for violation in refused.value.violations] == ["page_token"]
