"""The daily run over every store: whom it raises, what it withholds, how the day is closed and made good."""

import pytest

from service.domain import errors
from service.domain.daily_run import ClosingState, DiscrepancyKind, PromiseLine, RunState
from service.domain.decision import Decided, Kind
from service.domain.entitlement import EntitlementState
from service.domain.watch import MessageState
from service.engine.desks.policies import PolicyOrder
from service.engine.desks.run_work import TaskKind, WorkerAsk
from service.engine.ports.store import NUMBER_MAX
from service.storage.verify import verify
from tests.builders import TODAY, Bench, command, document
from tests.daily import DAY, Office

BUDGET = "portfolio_per_day_minor"


@pytest.fixture
def office(bench: Bench) -> Office:
    return Office(bench)


def _with_budget(bench: Bench, budget_minor: int) -> None:
    text = document().replace("reference-2026-2", "budgeted")
    text = text.replace("  debt_to_income_bp:", f"  {BUDGET}: {budget_minor}\n  debt_to_income_bp:")
    for action in ("publish", "promote"):
        bench.policies.change(PolicyOrder(action, f"tests/{action}", b"", "tests", "budgeted", document=text))


def test_whoever_is_due_is_raised_once_and_the_day_adds_up(office: Office) -> None:
    names = office.open_accounts(23, not_due=6)
    office.next_day()
    office.run()
    office.run()
    office.next_day()
    closed = office.close()

    assert [office.raises(name) for name in names] == [0] * 6 + [1] * 17
    assert office.entitlement(names[0]) is None
    granted = office.entitlement(names[-1])
    assert granted is not None
    assert (granted.state, granted.reason, granted.segment) == (EntitlementState.GRANTED, "LIMIT_RAISED", "A")
    assert granted.promised_minor == granted.granted_minor > 0
    run, shards, *_ = office.desk.report(DAY)
    assert (run.state, run.accounts) == (RunState.DONE, 23)
    assert [shard.looked for shard in shards] == [5, 5, 5, 5, 3]
    assert sum(shard.granted for shard in shards) == 17
    assert closed.closing.state is ClosingState.CLOSED
    assert closed.closing.lines == (PromiseLine("reference-2026-2", "A", 17, 17, 0),)
    assert (closed.closing.accounts, closed.closing.incident, closed.discrepancies) == (23, "", ())
    assert verify(office.bench.store).faults == ()  # type: ignore[arg-type]  # every store is a ledger.


def test_a_playbook_withholds_and_the_ledger_says_why(office: Office) -> None:
    names = office.open_accounts(4)
    office.next_day()
    office.bench.order("activate", "k", playbook="freeze_raises", ttl_seconds=7_200)
    office.run()
    office.next_day()
    closed = office.close()

    withheld = office.entitlement(names[0])
    assert withheld is not None
    assert withheld.state is EntitlementState.WITHHELD
    assert withheld.reason == "RAISE_KEPT_FOR_LATER"
    assert withheld.promised_minor > withheld.granted_minor == 0
    assert closed.closing.lines == (PromiseLine("reference-2026-2", "A", 4, 0, 4),)
    assert closed.closing.incident == ""


def test_the_budget_holds_and_who_waits_for_it_comes_first_the_next_day(office: Office) -> None:
    _with_budget(office.bench, 500_000)
    names = office.open_accounts(12)
    office.next_day()
    office.run()
    first = [office.entitlement(name) for name in names]
    raised = sum(one.granted_minor for one in first if one)
    waiting = [one.account_id for one in first if one and one.reason == "CAP_PORTFOLIO"]
    office.next_day()
    office.run(DAY + 1)
    second = [office.entitlement(name, DAY + 1) for name in names]

    later, passed = office.bench.store.runs.passed(2)
    assert passed[:5] == (DAY, RunState.DONE, passed.ended_us, 12, 12 - len(waiting))
    assert (passed.waiting, later.business_day) == (len(waiting), DAY + 1)
    assert office.bench.store.runs.passed(1) == [later]
    assert 0 < raised <= 500_000
    assert waiting == names[-len(waiting) :]
    assert 0 < len(waiting) < 12
    granted = {one.account_id for one in second if one and one.state is EntitlementState.GRANTED}
    assert set(waiting[: len(granted)]) == granted or granted >= set(waiting)
    assert all(one.waiting_since == DAY for one in first if one and one.reason == "CAP_PORTFOLIO")
    (taken,) = office.bench.store.runs.slices("revolving", DAY)
    assert taken.raised_minor == raised <= taken.taken_minor <= 500_000
    told = office.bench.store.outbox.messages("notice", (MessageState.WAITING,), NUMBER_MAX, 100)
    waits = [one.account_id for one in told if one.body == "raise_waits"]
    assert sorted(waits) == sorted(
        {*waiting, *(one.account_id for one in second if one and one.waiting_since == DAY + 1)}
    )
    assert not [one for one in told if one.body == "raise_declined"]


def test_a_customer_raise_by_day_settles_the_promise_and_the_run_adds_none(office: Office) -> None:
    (name,) = office.open_accounts(1)
    office.next_day()
    (made,) = office.bench.execute(command(Kind.RAISE, request_id="own", account_id=name))
    assert isinstance(made, Decided)
    office.run()
    office.next_day()
    closed = office.close()

    assert office.raises(name) == 1
    settled = office.entitlement(name)
    assert settled is not None
    assert settled.decision == made.decision.number
    assert closed.closing.lines == (PromiseLine("reference-2026-2", "A", 1, 1, 0),)


def test_a_day_without_a_run_misses_everybody_and_is_made_good_with_one_order(office: Office) -> None:
    names = office.open_accounts(9, not_due=2)
    office.next_day(2)
    closed = office.close()
    assert closed.closing.incident == "day-2027-01-16"
    assert [one.account_id for one in closed.discrepancies] == names[2:]
    assert {one.kind for one in closed.discrepancies} == {DiscrepancyKind.MISSING}

    office.make_good(DAY)
    office.work()
    office.make_good(DAY)
    office.work()

    made_good = office.desk.closing(DAY, "", 100)
    assert made_good.closing.state is ClosingState.MADE_GOOD
    assert [(count.accounts, count.made_good) for count in made_good.counts] == [(7, 7)]
    assert [office.raises(name) for name in names] == [0, 0] + [1] * 7
    assert verify(office.bench.store).faults == ()  # type: ignore[arg-type]  # every store is a ledger.


def test_a_day_made_good_does_not_take_the_raise_of_the_day_after(office: Office) -> None:
    (name,) = office.open_accounts(1)
    office.next_day(2)
    office.run(DAY + 1)
    office.close()
    office.make_good(DAY)
    office.work()

    assert (office.raises(name), office.raises(name, DAY + 1)) == (1, 1)


def test_accounts_that_became_eligible_after_the_run_had_passed_are_settled_at_the_closing(office: Office) -> None:
    names = office.open_accounts(3, not_due=1)
    office.next_day()
    office.run()
    office.bench.clock.time_us += 1_000_000
    paid = command(Kind.REDUCE, request_id="paid", account_id=names[0], news=((7, 0),))
    office.bench.execute(paid)
    office.next_day()
    closed = office.close()

    assert office.raises(names[0]) == 1
    assert closed.closing.incident == ""
    assert closed.closing.lines == (PromiseLine("reference-2026-2", "A", 3, 3, 0),)


def test_an_account_that_became_eligible_behind_the_worker_is_no_incident(bench: Bench) -> None:
    office = Office(bench, shard_accounts=30)
    names = office.open_accounts(30, not_due=1)
    office.next_day()
    office.start(DAY)
    worker = office.worker()
    # The first page is smaller than the shard, so the shard is still at work when a passed account pays.
    assert worker.turn() >= 0
    office.bench.clock.time_us += 1_000_000
    office.bench.execute(command(Kind.REDUCE, request_id="paid", account_id=names[0], news=((7, 0),)))
    office.bench.clock.time_us += 1_000_000
    office.work(worker)
    office.next_day()
    closed = office.close()

    assert office.raises(names[0]) == 1
    assert closed.closing.incident == ""
    assert closed.closing.lines == (PromiseLine("reference-2026-2", "A", 30, 30, 0),)


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_worker_lost_at_any_step_loses_and_doubles_nothing(bench: Bench, lost: str) -> None:
    office = Office(bench, shard_accounts=4)
    names = office.open_accounts(14)
    office.next_day()
    office.start(DAY)
    for step in range(12):
        worker = office.worker(f"w-{step}")
        for _ in range(step % 3):
            worker.turn()
        # The message is lost on its way, or the engine has taken it and the worker never hears.
        if lost == "before":
            office.fault = lambda _: None
        office.loses_replies = lost == "after"
        worker.turn()
        office.fault = lambda ask: ask
        office.loses_replies = False
        office.bench.clock.time_us += 16_000_000
    office.work()
    office.next_day()

    assert [office.raises(name) for name in names] == [1] * 14
    assert office.close().closing.incident == ""
    run, shards, *_ = office.desk.report(DAY)
    assert run.state is RunState.DONE
    assert sum(shard.granted for shard in shards) == sum(shard.looked for shard in shards) == 14


def test_two_workers_share_the_shards_and_a_cancelled_run_is_taken_up_again(bench: Bench) -> None:
    office = Office(bench, shard_accounts=3)
    names = office.open_accounts(20)
    office.next_day()
    office.start(DAY)
    first, second = office.worker("w-1"), office.worker("w-2")
    for _ in range(2):
        first.turn()
        second.turn()
    holders = {shard.holder for shard in office.desk.report(DAY).shards}
    office.cancel(DAY)
    for _ in range(5):
        first.turn()
        second.turn()
    halfway = sum(office.raises(name) for name in names)
    assert office.desk.report(DAY).run.state is RunState.CANCELLED
    office.bench.clock.time_us += 16_000_000
    office.resume(DAY)
    office.work()

    assert holders == {"w-1", "w-2"}
    assert 0 < halfway < 20
    assert [office.raises(name) for name in names] == [1] * 20


def test_a_late_retry_neither_revives_nor_stops_a_run(office: Office) -> None:
    office.open_accounts(1)
    office.next_day()
    office.start(DAY, "first")
    office.cancel(DAY, "second")

    late_start = office.start(DAY, "first").run.state
    new_start = office.start(DAY, "another").run.state
    resumed = office.resume(DAY, "third").run.state
    late_cancel = office.cancel(DAY, "second").run.state
    with pytest.raises(errors.IdempotencyKeyReused):
        office.cancel(DAY, "first")

    assert (late_start, new_start) == (RunState.CANCELLED, RunState.CANCELLED)
    assert (resumed, late_cancel) == (RunState.RUNNING, RunState.RUNNING)
    act = office.bench.store.runs.act("tests/second")
    assert act is not None
    assert (act.action, act.caller, act.reason, act.business_day) == ("cancel", "tests", "tests", DAY)


def test_runs_and_closings_are_listed_by_state_newest_first(office: Office) -> None:
    office.open_accounts(1)
    office.next_day(2)
    for day in (TODAY, DAY):
        office.run(day)
    office.close(TODAY)
    office.start(DAY + 1)
    store = office.bench.store.runs

    both = (RunState.DONE, RunState.RUNNING)
    assert [run.business_day for run in store.runs_of(both, 1 << 31, 9)] == [DAY + 1, DAY, TODAY]
    assert [run.business_day for run in store.runs_of(both, DAY + 1, 1)] == [DAY]
    assert [run.business_day for run in store.runs_of((RunState.RUNNING,), 1 << 31, 9)] == [DAY + 1]
    assert store.runs_of((RunState.CANCELLED,), 1 << 31, 9) == []
    (closing,) = store.closings_of((ClosingState.CLOSED, ClosingState.MADE_GOOD), 1 << 31, 9)
    assert (closing.business_day, closing.closed_us) == (TODAY, closing.ended_us)
    assert store.closings_of((ClosingState.CLOSING,), 1 << 31, 9) == []


def test_a_run_is_refused_for_days_that_are_closed_ahead_or_long_past(office: Office) -> None:
    office.open_accounts(1)
    office.next_day(2)
    office.close()

    with pytest.raises(errors.DayClosed):
        office.start(DAY)
    for day in (DAY + 2, DAY - 60):
        with pytest.raises(errors.InvalidRequest):
            office.start(day)
    with pytest.raises(errors.DayOpen, match="not over"):
        office.ask_closing(DAY + 1)
    with pytest.raises(errors.RunNotFound):
        office.desk.report(DAY)
    with pytest.raises(errors.RunNotFound):
        office.desk.closing(TODAY, "", 1)


def test_a_day_is_not_closed_while_its_run_is_at_work(office: Office) -> None:
    office.open_accounts(1)
    office.next_day()
    office.start(DAY)
    office.next_day()

    with pytest.raises(errors.DayOpen, match="at work"):
        office.ask_closing(DAY)


@pytest.mark.parametrize("which", ["drops", "skips"])
def test_the_closing_finds_exactly_the_accounts_that_a_faulty_worker_dropped(office: Office, which: str) -> None:
    names = office.open_accounts(20, not_due=3)
    office.next_day()

    def faulty(ask: WorkerAsk) -> WorkerAsk:
        chunk = ask.chunk
        if chunk is None or chunk.kind is not TaskKind.RUN or chunk.shard != 3:
            return ask
        # A shard whose raises are dropped, or that is called done before anybody looked.
        dropped = chunk._replace(raises=()) if which == "drops" else chunk._replace(raises=(), looked=0, is_done=True)
        return ask._replace(chunk=dropped)

    office.fault = faulty
    office.run()
    office.fault = lambda ask: ask
    office.next_day()
    closed = office.close()

    assert [one.account_id for one in closed.discrepancies] == names[10:15]
    assert {one.kind for one in closed.discrepancies} == {DiscrepancyKind.MISSING}
    office.make_good(DAY)
    office.work()
    assert [office.raises(name) for name in names] == [0] * 3 + [1] * 17
