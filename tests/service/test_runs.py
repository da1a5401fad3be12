"""The daily run over the wire: workers and engines killed on the way, a day closed and made good, bad input."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc
import pytest
from holdline.client import Client, Retry, errors
from holdline.v1 import account_service_pb2, run_service_pb2, run_service_pb2_grpc
from holdline.v1 import operation_service_pb2 as ob
from holdline.v1 import run_service_pb2 as pb
from holdline.v1.money_pb2 import Money
from holdline.v1.operation_service_pb2_grpc import OperationServiceStub
from holdline.v1.run_service_pb2_grpc import RunServiceStub
from typer.testing import CliRunner

from service import bootstrap
from service.cli.main import app
from service.local_server import Server, running_server
from service.storage.opening import open_ledger
from service.storage.verify import verify
from tests.proof.journal import ONCE, wait_until
from tests.service.wire import facts, fresh, refusal

BUSY_SECONDS = 25.0
COUNT = 4_000


def day(back: int) -> str:
    """Give the business date so many days before today."""
    return (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=back)).date().isoformat()


def take_over(client: Client, count: int, prefix: str, late: int = 0) -> list[str]:
    """Import accounts, the first ones past due, so that no raise is promised to them."""
    names = [f"{prefix}-{number:06d}" for number in range(count)]
    for start in range(0, count, 1_000):
        batch = [
            account_service_pb2.ImportAccount(
                request_id=fresh("i"),
                account_id=name,
                product="revolving",
                limit=Money(minor_units=1_000_000, currency_code="CNY"),
                facts=facts(dpd_now=5 if at < late else 0),
            )
            for at, name in enumerate(names[start : start + 1_000], start)
        ]
        assert not any(isinstance(answer, errors.HoldlineError) for answer in client.import_accounts(batch))
    return names


def _is_running(client: Client, date: str) -> bool:
    """Ask whether a run is at work; a dead engine can't say that it is over."""
    try:
        return client.run(date).state == pb.RUN_STATE_RUNNING
    except errors.Unavailable:
        return True


def closed(client: Client, date: str) -> pb.Closing:
    """Close a date and wait until it is."""
    client.close_day(date)
    wait_until(lambda: client.closing(date).HasField("ended_at"), 60, "the closing ends")
    return client.closing(date)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("runs")
    flags = ("run_workers=2", "run_shard_accounts=40", "run_lease_ms=1000")
    with running_server(folder, *(part for flag in flags for part in ("--set", flag))) as server:
        yield server
    assert server.process.returncode == 0


@pytest.fixture
def client(ran: Server) -> Iterator[Client]:
    with Client(ran.listen, caller="scheduler", timeout_seconds=20, retry=Retry(attempts_max=60)) as found:
        yield found


def test_a_run_survives_killed_workers_and_engines_and_the_day_adds_up(ran: Server, client: Client) -> None:
    names = take_over(client, COUNT, fresh("run"), late=100)
    date, rng, kills = day(1), random.Random(5), 0
    client.start_run(date)
    give_up_at = time.monotonic() + BUSY_SECONDS
    while _is_running(client, date) and time.monotonic() < give_up_at:
        pids = ran.pids()
        victims = pids["workers"] if kills % 4 else [pids["engine"]]
        if victims and kills < 12:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(victims), signal.SIGKILL)
                kills += 1
        time.sleep(0.3)
    last = list(client.watch_run(date))[-1]
    found = closed(client, date)

    assert last.state == pb.RUN_STATE_DONE
    assert kills >= 4
    assert (last.looked, last.granted) == (COUNT, COUNT - 100)
    assert last.accounts == COUNT
    assert found.incident == ""
    assert sum(line.due for line in found.lines) == sum(line.granted for line in found.lines) == COUNT - 100
    for name in (names[0], names[100], names[-1]):
        made = [decision for decision in client.decisions(name) if decision.caller == "holdline:run"]
        assert len(made) == (name != names[0])
    with open_ledger(f"sqlite:///{ran.ready.parent / 'holdline.db'}", bootstrap.now_us) as ledger:
        assert verify(ledger).faults == ()


def test_a_day_without_a_run_is_an_incident_and_one_command_makes_it_good(ran: Server, client: Client) -> None:
    (name,) = take_over(client, 1, fresh("missed"))
    date = day(3)
    runner = CliRunner()
    first = runner.invoke(app, ["run", "close", date, "--server", ran.listen])
    second = runner.invoke(app, ["run", "make-good", date, "--reason", "missed", "--server", ran.listen])
    (promise,) = (one for one in client.entitlements(name) if one.business_date == date)

    assert first.exit_code == 1, first.output
    assert "a raise was due" in first.output
    assert name in {one.account_id for one in client.discrepancies(date, page_size=500)}
    assert second.exit_code == 0, second.output
    (own,) = (one for one in client.discrepancies_of(name) if one.business_date == date)
    assert (own.kind, own.decision_id) == (pb.DISCREPANCY_KIND_MISSING, promise.decision_id)
    told = runner.invoke(app, ["account", "story", name, "--server", ran.listen], env={"COLUMNS": "200"})
    assert "incident, a promised raise was missing: made good" in told.output
    assert promise.state == pb.ENTITLEMENT_STATE_GRANTED
    assert promise.granted == promise.promised
    assert promise.granted.currency_code == "CNY"
    with pytest.raises(errors.Refused) as refused:
        client.start_run(date)
    assert refused.value.reason == "DAY_CLOSED"


def test_discrepancies_are_of_a_date_or_of_an_account(client: Client) -> None:
    both = pb.ListDiscrepanciesRequest(business_date="2026-01-01", account_id="a")
    with pytest.raises(errors.InvalidRequest) as refused:
        client._call(client._runs.ListDiscrepancies, both, "")
    with pytest.raises(errors.NotFound):
        client.discrepancies_of("nobody")

    assert [violation.field for violation in refused.value.violations] == ["business_date"]


def test_a_cancelled_run_says_so_and_a_run_that_never_was_is_not_found(client: Client) -> None:
    date = day(5)
    with pytest.raises(errors.NotFound) as refused:
        client.run(date)
    client.start_run(date)
    cancelled = client.cancel_run(date, reason="tests")

    assert refused.value.reason == "RUN_NOT_FOUND"
    assert cancelled.state in (pb.RUN_STATE_CANCELLED, pb.RUN_STATE_DONE)


def test_a_cancelled_run_goes_on_when_it_is_resumed_and_not_before(client: Client) -> None:
    date = day(6)
    started = fresh("start")
    client.start_run(date, request_id=started)
    client.cancel_run(date, reason="tests")
    late = client.start_run(date, request_id=started)
    resumed = client.resume_run(date, reason="goes on")
    over = list(client.watch_run(date))[-1]

    if late.state != pb.RUN_STATE_DONE:
        assert late.state == pb.RUN_STATE_CANCELLED
        assert resumed.state == pb.RUN_STATE_RUNNING
    assert over.state == pb.RUN_STATE_DONE
    assert over.started_by.caller == "scheduler"


def test_whoever_comes_back_to_a_watch_is_told_of_the_end_and_let_go(ran: Server, client: Client) -> None:
    date = day(7)
    client.start_run(date)
    run, operation = list(client.watch_run(date))[-1], list(client.watch_operation(f"run-{date}"))[-1]
    metadata = (("x-holdline-caller", "scheduler"),)
    with grpc.insecure_channel(ran.listen) as channel:
        runs, operations = RunServiceStub(channel), OperationServiceStub(channel)
        last = list(runs.WatchDailyRun(pb.WatchDailyRunRequest(business_date=date), metadata=metadata, timeout=10))[-1]
        asked = pb.WatchDailyRunRequest(business_date=date, resume_token=last.resume_token)
        again = list(runs.WatchDailyRun(asked, metadata=metadata, timeout=10))
        named = ob.WatchOperationRequest(operation_id=operation.id)
        seen = list(operations.WatchOperation(named, metadata=metadata, timeout=10))[-1]
        named.resume_token = seen.resume_token
        seen_again = list(operations.WatchOperation(named, metadata=metadata, timeout=10))

    assert run.state == pb.RUN_STATE_DONE
    assert again == [last]
    assert seen_again == [seen]


def test_runs_closings_and_what_makes_days_good_are_operations(ran: Server, client: Client) -> None:
    date = day(10)
    client.start_run(date)
    run = f"run-{date}"
    seen = list(client.watch_operation(run))
    (name,) = take_over(client, 1, fresh("operation"))
    client.close_day(date)
    closing = list(client.watch_operation(f"closing-{date}"))[-1]
    with pytest.raises(errors.NotFound) as none:
        client.operation(f"make-good-{date}")
    if closing.closing.incident:
        client.make_good(date, reason="missed")
        made_good = list(client.watch_operation(f"make-good-{date}"))[-1]
        assert (made_good.state, made_good.done) == (ob.OPERATION_STATE_DONE, made_good.total)
        assert (made_good.started_by.caller, made_good.closing.state) == ("scheduler", pb.CLOSING_STATE_MADE_GOOD)
    over = client.cancel_operation(run, reason="too late")
    with pytest.raises(errors.Refused) as refused:
        client.cancel_operation(f"closing-{date}", reason="no")
    listed = [one.id for one in client.operations(page_size=1)]
    runs = [one.id for one in client.operations(["daily_run"], ["done"], page_size=2)]
    runner = CliRunner()
    shown = runner.invoke(app, ["operation", "show", run, "--server", ran.listen], env={"COLUMNS": "200"})
    told = runner.invoke(
        app, ["operation", "list", "--kind", "closing", "--server", ran.listen], env={"COLUMNS": "200"}
    )

    assert name
    assert (seen[-1].id, seen[-1].kind, seen[-1].state) == (run, ob.OPERATION_KIND_DAILY_RUN, ob.OPERATION_STATE_DONE)
    assert seen[-1].done == seen[-1].total == seen[-1].daily_run.accounts
    assert seen[-1].daily_run == client.run(date)
    assert over == seen[-1]
    assert (closing.state, closing.closing.closed_at) == (ob.OPERATION_STATE_DONE, closing.ended_at)
    assert (none.value.reason, refused.value.reason) == ("OPERATION_NOT_FOUND", "OPERATION_NOT_CANCELLABLE")
    assert len(listed) == len(set(listed))
    assert [one[-10:] for one in listed] == sorted((one[-10:] for one in listed), reverse=True)
    assert {run, f"closing-{date}"} <= set(listed)
    assert run in runs
    assert all(one.startswith("run-") for one in runs)
    assert "done" in shown.stdout
    assert f"closing-{date}" in told.stdout
    assert run not in told.stdout


@pytest.mark.parametrize("name", ["", "run", "run-2026-02-30", "run-1999-01-01", "closing-today", "what-2026-01-01"])
def test_a_name_of_no_operation_is_refused_by_every_method(client: Client, name: str) -> None:
    stub = client._operations
    calls: tuple[tuple[Callable[..., object], object], ...] = (
        (stub.GetOperation, ob.GetOperationRequest(operation_id=name)),
        (stub.CancelOperation, ob.CancelOperationRequest(request_id="o", operation_id=name, reason="tests")),
        (lambda *said, **more: list(stub.WatchOperation(*said, **more)), ob.WatchOperationRequest(operation_id=name)),
    )
    for method, request in calls:
        assert refusal(partial(method, request, timeout=5)).fields == ("operation_id",)


def _watched_runs(client: Client, date: str, token: str) -> list[pb.WatchDailyRunResponse]:
    return list(client._runs.WatchDailyRun(pb.WatchDailyRunRequest(business_date=date, resume_token=token), timeout=60))


def _watched_operations(client: Client, date: str, token: str) -> list[ob.WatchOperationResponse]:
    asked = ob.WatchOperationRequest(operation_id=f"run-{date}", resume_token=token)
    return list(client._operations.WatchOperation(asked, timeout=60))


@pytest.mark.parametrize("watched", [_watched_runs, _watched_operations])
def test_a_watch_that_is_resumed_after_the_end_ends_and_a_token_is_for_what_it_was_given(
    client: Client, watched: Callable[[Client, str, str], list[pb.WatchDailyRunResponse]]
) -> None:
    date, other = day(11), day(12)
    client.start_run(other)
    client.start_run(date)
    last = watched(client, date, "")[-1]
    watched(client, other, "")

    again = watched(client, date, last.resume_token)

    assert again == [last]
    for asked, token in ((other, last.resume_token), (date, "zz"), (date, last.resume_token[:-1])):
        assert refusal(partial(watched, client, asked, token)).fields == ("resume_token",)


def test_runs_are_listed_page_by_page_and_a_token_is_for_its_filter_only(client: Client) -> None:
    for back in (7, 8, 9):
        client.start_run(day(back))
        client.cancel_run(day(back), reason="tests")
    stub = client._runs
    first = stub.ListRuns(pb.ListRunsRequest(page_size=1))
    second = stub.ListRuns(pb.ListRunsRequest(page_size=1, page_token=first.next_page_token))
    cases: tuple[tuple[Callable[..., object], object], ...] = (
        (stub.ListRuns, pb.ListRunsRequest(page_token=first.next_page_token, states=[pb.RUN_STATE_DONE])),
        (stub.ListClosings, pb.ListClosingsRequest(page_token=first.next_page_token)),
        (stub.ListRuns, pb.ListRunsRequest(page_token=second.runs[0].business_date)),
    )
    refused = [refusal(partial(method, request, timeout=5)).fields for method, request in cases]
    every = [run.business_date for run in client.list_runs(page_size=2)]

    assert second.runs[0].business_date < first.runs[0].business_date
    assert refused == [("page_token",)] * 3
    assert every == sorted(every, reverse=True)
    assert {day(back) for back in (7, 8, 9)} <= set(every)
    done = {run.state for run in client.list_runs(["done"])}
    assert done <= {pb.RUN_STATE_DONE}
    unknown = refusal(
        partial(stub.ListRuns, pb.ListRunsRequest(states=[pb.RUN_STATE_DONE, pb.RunState.ValueType(9)]), timeout=5)
    )
    assert unknown.fields == ("states[1]",)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_whoever_stops_or_mends_a_day_says_why(client: Client, reason: str) -> None:
    stub, date = client._runs, day(1)
    calls: tuple[tuple[Callable[..., object], object], ...] = (
        (stub.ResumeDailyRun, pb.ResumeDailyRunRequest(request_id="w", business_date=date, reason=reason)),
        (stub.CancelDailyRun, pb.CancelDailyRunRequest(request_id="w", business_date=date, reason=reason)),
        (stub.MakeGoodBusinessDay, pb.MakeGoodBusinessDayRequest(request_id="w", business_date=date, reason=reason)),
    )
    for method, request in calls:
        assert refusal(partial(method, request, timeout=5)).fields == ("reason",)


@pytest.mark.parametrize("date", ["", "2026-1-1", "2026-02-30", "yesterday", "20260101"])
def test_a_date_that_is_none_is_refused_by_every_method(ran: Server, date: str) -> None:
    with grpc.insecure_channel(ran.listen) as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        calls: tuple[tuple[Callable[..., object], object], ...] = (
            (stub.StartDailyRun, pb.StartDailyRunRequest(request_id="d", business_date=date)),
            (stub.ResumeDailyRun, pb.ResumeDailyRunRequest(request_id="d", business_date=date, reason="tests")),
            (stub.GetDailyRun, pb.GetDailyRunRequest(business_date=date)),
            (stub.CancelDailyRun, pb.CancelDailyRunRequest(request_id="d", business_date=date, reason="tests")),
            (stub.CloseBusinessDay, pb.CloseBusinessDayRequest(request_id="d", business_date=date)),
            (stub.GetClosing, pb.GetClosingRequest(business_date=date)),
            (stub.MakeGoodBusinessDay, pb.MakeGoodBusinessDayRequest(request_id="d", business_date=date, reason="t")),
            (stub.ListDiscrepancies, run_service_pb2.ListDiscrepanciesRequest(business_date=date)),
        )
        for method, request in calls:
            refused = refusal(partial(method, request, timeout=5))
            assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("business_date",))


def test_days_that_are_not_over_or_far_away_are_refused(ran: Server) -> None:
    with Client(ran.listen, retry=ONCE) as client:
        with pytest.raises(errors.Refused) as today:
            client.close_day(day(0))
        for date in (day(-1), day(40)):
            with pytest.raises(errors.InvalidRequest):
                client.start_run(date)

    assert today.value.reason == "DAY_OPEN"


def test_an_idle_server_without_workers_still_answers(tmp_path: Path) -> None:
    with running_server(tmp_path, "--set", "run_workers=0") as server, Client(server.listen) as client:
        assert client.start_run(day(1)).state == pb.RUN_STATE_RUNNING
        assert server.pids()["workers"] == []
