"""Daily runs, closings and what makes days good, told as operations, on every store."""

from service.domain.daily_run import Closing, ClosingState, Run, RunState
from service.domain.operation import OperationKind, OperationState
from service.engine.desks.operations import PAGE, OperationDesk, Place
from tests.builders import TODAY, Bench
from tests.daily import DAY, Office

KINDS = tuple(OperationKind)
STATES = tuple(OperationState)
NEWEST = Place(1 << 31, 0)
RUN, CLOSING, MAKE_GOOD = OperationKind.DAILY_RUN, OperationKind.CLOSING, OperationKind.MAKE_GOOD


def _desk(office: Office) -> OperationDesk:
    return OperationDesk(office.bench.store, office.desk)


def test_an_operation_says_what_its_record_says_from_its_beginning_to_its_end(bench: Bench) -> None:
    office = Office(bench)
    names = office.open_accounts(7)
    desk = _desk(office)
    office.next_day()
    begun = bench.clock.time_us
    office.start(TODAY)
    office.start(DAY)
    waiting, first = desk.operation("", RUN, DAY), desk.operation("", RUN, TODAY)
    office.work()
    run = desk.operation("", RUN, DAY)
    office.next_day()
    office.ask_closing(DAY)
    closing = desk.operation("", CLOSING, DAY)

    assert (waiting.state, first.state) == (OperationState.WAITING, OperationState.RUNNING)
    assert (waiting.done, waiting.total, waiting.ended_us) == (0, 0, 0)
    assert (run.state, run.done, run.total) == (OperationState.DONE, len(names), len(names))
    assert (run.started_by, run.started_us) == ("tests", begun)
    assert run.ended_us >= begun
    assert (closing.state, closing.ended_us, closing.total) == (OperationState.RUNNING, 0, 0)


def test_what_makes_a_day_good_is_an_operation_of_its_own(bench: Bench) -> None:
    office = Office(bench)
    names = office.open_accounts(6)
    desk = _desk(office)
    office.next_day(2)
    office.close()
    closed = desk.operation("", CLOSING, DAY)
    office.bench.clock.time_us += 1_000_000
    office.make_good(DAY)
    at_work, itself = desk.operation("", MAKE_GOOD, DAY), desk.operation("", CLOSING, DAY)
    office.work()
    over = desk.operation("", MAKE_GOOD, DAY)
    found = desk.operations(KINDS, STATES, NEWEST, 9)

    assert itself.state is closed.state is OperationState.DONE
    assert itself.ended_us == closed.ended_us > 0
    assert (at_work.state, at_work.done, at_work.total) == (OperationState.RUNNING, 0, len(names))
    assert at_work.started_us == closed.ended_us + 1_000_000
    assert (over.state, over.done, over.total) == (OperationState.DONE, len(names), len(names))
    assert over.ended_us >= at_work.started_us
    assert [(one.business_day, one.kind) for one in found] == [(DAY, MAKE_GOOD), (DAY, CLOSING)]


def test_operations_are_listed_backwards_from_any_place_by_kind_and_state(bench: Bench) -> None:
    office = Office(bench)
    desk, store = _desk(office), bench.store
    count = 2 * PAGE + 3
    store.begin()
    for back in range(count):
        day = TODAY - back
        state = RunState.CANCELLED if back % 3 else RunState.DONE
        store.runs.enter_run(Run(day, state, "olga", 1, 2, 0, "", is_cut=True))
        closed = ClosingState.MADE_GOOD if back % 2 else ClosingState.CLOSED
        store.runs.enter_closing(Closing(day, closed, "olga", 1, 2, "", "", 0, 0, (), "day", 2))
    store.commit()
    every = desk.operations(KINDS, STATES, NEWEST, 10 * count)
    pages, before = [], NEWEST
    while page := desk.operations(KINDS, STATES, before, 7):
        pages += page
        before = Place(page[-1].business_day, page[-1].kind)
    cancelled = desk.operations((RUN,), (OperationState.CANCELLED,), NEWEST, 1_000)
    made_good = desk.operations((MAKE_GOOD,), STATES, NEWEST, 1_000)

    places = [(one.business_day, one.kind) for one in every]
    assert places == sorted(places, reverse=True)
    assert len(every) == 2 * count + count // 2
    assert pages == every
    assert [one.business_day for one in cancelled] == [TODAY - back for back in range(count) if back % 3]
    assert [one.business_day for one in made_good] == [TODAY - back for back in range(1, count, 2)]
    assert desk.operations(KINDS, (OperationState.FAILED,), NEWEST, 9) == []
