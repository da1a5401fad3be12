"""The sentry beside a live server: guards that act, silence that is noticed, and a dead sentry that costs nothing."""

import os
import signal
from pathlib import Path

import pytest
from holdline.client import Client, HoldlineError
from holdline.v1 import account_service_pb2, decision_pb2, limit_service_pb2
from holdline.v1 import playbook_service_pb2 as pb
from holdline.v1.money_pb2 import Money

from service.local_server import Server, running_server
from tests.proof.journal import wait_until
from tests.service.test_playbooks import alerts
from tests.service.wire import ASSIGN, assign, facts, fresh, title_of

REDUCE = decision_pb2.DECISION_KIND_REDUCE
REVIEW = decision_pb2.DECISION_KIND_REVIEW
LEARNED = 1_000


def _decide(client: Client, kind: decision_pb2.DecisionKind.ValueType, names: list[str], **said: int) -> None:
    for start in range(0, len(names), 500):
        requests = [
            limit_service_pb2.DecideRequest(
                request_id=fresh("r"), account_id=name, kind=kind, facts=facts(**said),
                product="revolving" if kind == ASSIGN else "",
            )
            for name in names[start : start + 500]
        ]  # fmt: skip
        assert all(isinstance(one, limit_service_pb2.DecideResponse) for one in client.batch(requests))


def _in_force(client: Client) -> list[pb.Activation]:
    return list(client.mode().mode.activations)


def test_a_guard_learns_what_is_normal_alarms_and_acts_for_a_short_time(tmp_path: Path) -> None:
    flags = (
        "--set", f"guard_decisions={LEARNED}", "--set", "guards_activate=cut_rate=freeze_reductions",
        "--set", "guard_ttl_seconds=60",
    )  # fmt: skip
    with running_server(tmp_path, *flags) as server, Client(server.listen, timeout_seconds=30.0) as client:
        names = [fresh("g") for _ in range(LEARNED)]
        _decide(client, ASSIGN, names)
        # The first baseline knows no cuts; it is learned anew once twice as much was seen.
        _decide(client, REDUCE, names)
        wait_until(
            lambda: any(one.name == "cut_rate" for one in client.signals().signals), 20, "a baseline was learned"
        )

        _decide(client, REDUCE, names, dpd_now=70)
        wait_until(lambda: bool(_in_force(client)), 20, "a guard acted")
        (made,) = _in_force(client)
        (alarm,) = (one for one in client.signals().signals if one.name == "cut_rate")
        _decide(client, ASSIGN, [late := fresh("g")])
        held = client.decide(late, "reduce", facts={"dpd_now": 70}).decision
        told = alerts(server)

    assert (made.playbook, made.requested_by.caller, made.scope.product) == (
        "freeze_reductions",
        "holdline:guard",
        "revolving",
    )
    assert made.active_until.ToSeconds() - made.active_from.ToSeconds() == 60
    assert alarm.alarming
    assert alarm.recommends == "freeze_reductions"
    assert held.new_limit == held.old_limit
    assert held.reasons[0].code == "CUT_HELD_FOR_REVIEW"
    critical = [body for severity, body in told if severity == "critical"]
    assert any('"guard_alarm"' in body for body in critical)
    assert any('"playbook_activate"' in body and made.activation_id in body for body in critical)


def test_a_baseline_that_a_person_asks_for_is_a_new_version(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, Client(server.listen, caller="olga", timeout_seconds=30.0) as client:
        _decide(client, ASSIGN, [fresh("b") for _ in range(LEARNED)])

        key = fresh("learn")
        first = client.learn_baseline("revolving", LEARNED, reason="a new product", request_id=key)
        _decide(client, ASSIGN, [fresh("b") for _ in range(100)])
        again = client.learn_baseline("revolving", LEARNED, reason="a new product", request_id=key)
        with pytest.raises(HoldlineError) as other:
            client.learn_baseline("revolving", LEARNED, reason="something else", request_id=key)
        with pytest.raises(HoldlineError) as taken:
            client.decide(fresh("b"), "assign", product="revolving", request_id=key)
        second = client.learn_baseline("revolving", LEARNED, reason="a new product")

    assert (first.version, again.version, second.version) == (1, 1, 2)
    assert (first.replayed, again.replayed, second.replayed) == (False, True, False)
    assert first.decisions == again.decisions == LEARNED
    assert {other.value.reason, taken.value.reason} == {"IDEMPOTENCY_KEY_REUSED"}


def test_a_key_of_another_write_learns_no_baseline(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, Client(server.listen, caller="olga", timeout_seconds=30.0) as client:
        _decide(client, ASSIGN, [fresh("k") for _ in range(LEARNED)])
        key = client.decide(fresh("k"), "assign", product="revolving").decision.request_id
        with pytest.raises(HoldlineError) as taken:
            client.learn_baseline("revolving", LEARNED, reason="r", request_id=key)
        with pytest.raises(HoldlineError) as silent:
            client.learn_baseline("revolving", 999, reason=" ", request_id=key)

    assert taken.value.reason == "IDEMPOTENCY_KEY_REUSED"
    assert [one.field for one in silent.value.violations] == ["reason", "decisions"]


def test_a_stopped_sentry_is_noticed_and_the_safe_mode_put_in_force(tmp_path: Path) -> None:
    flags = ("--set", "dead_man_seconds=1", "--set", "dead_man_playbook=freeze_raises")
    with running_server(tmp_path, *flags) as server, Client(server.listen, timeout_seconds=30.0) as client:
        os.kill(server.pids()["sentry"], signal.SIGSTOP)
        try:
            wait_until(lambda: bool(_in_force(client)), 40, "the dead man acted")
            (made,) = _in_force(client)
            decided = client.send(assign())
        finally:
            os.kill(server.pids()["sentry"], signal.SIGCONT)
        told = alerts(server)

    assert (made.playbook, made.requested_by.caller) == ("freeze_raises", "holdline:dead-man")
    assert list(map(title_of, decided.decision.activations)) == [f"{made.activation_id}@freeze_raises/v1"]
    assert {"guards_silent", "dead_man_acted"} <= {word for _, body in told for word in body.split('"')}


def test_a_dead_sentry_costs_no_decision_and_comes_back(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, Client(server.listen, timeout_seconds=30.0) as client:
        for _ in range(2):
            sentry = _killed(server)
            assert all(client.send(assign()).decision.decision_id for _ in range(20))
            wait_until(lambda sentry=sentry: server.pids()["sentry"] != sentry, 20, "the sentry is back")  # type: ignore[misc]  # a bound default.

        wait_until(lambda: bool(client.signals().signals), 20, "signals are read again")
        found = client.preview("freeze_raises")

    assert found.decisions == 40


def _killed(server: Server) -> int:
    sentry = int(server.pids()["sentry"])
    os.kill(sentry, signal.SIGKILL)
    return sentry


def _import(client: Client, names: list[str]) -> None:
    for start in range(0, len(names), 500):
        rows = [
            account_service_pb2.ImportAccount(
                request_id=fresh("r"), account_id=name, product="revolving",
                limit=Money(minor_units=1_000_000, currency_code="CNY"),
                facts=facts(dpd_now=40, late_months_12m=9, payment_ratio_bp=0),
            )
            for name in names[start : start + 500]
        ]  # fmt: skip
        assert all(not isinstance(one, HoldlineError) for one in client.import_accounts(rows))


def test_the_first_ordinary_decisions_after_an_import_set_off_no_guard(tmp_path: Path) -> None:
    flags = ("--set", f"guard_decisions={LEARNED}")
    with running_server(tmp_path, *flags) as server, Client(server.listen, timeout_seconds=30.0) as client:
        _import(client, names := [fresh("i") for _ in range(2 * LEARNED)])
        with pytest.raises(HoldlineError, match="product") as refused:
            client.learn_baseline("revolving", LEARNED, reason="r")
        _decide(client, REVIEW, names)
        wait_until(
            lambda: any((one.name, one.fact) == ("fact_psi", "dpd_now") for one in client.signals().signals),
            30,
            "a baseline was learned",
        )
        _decide(client, REVIEW, names)
        last = next(client.decisions(names[-1])).decision_id
        wait_until(lambda: client.signals().newest_decision_id >= last, 20, "the guards saw them all")
        seen = client.signals()

    assert refused.value.reason == "INVALID_REQUEST"
    assert [one.name for one in seen.signals if one.alarming] == []
