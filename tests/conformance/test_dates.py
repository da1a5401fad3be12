"""Dates over every store: whom a date is for, which comes first, and what one that comes late gives and lists."""

import json

import pytest

from service.domain import errors
from service.domain.daily_run import ClosingState, Discrepancy, DiscrepancyKind, RunState
from service.domain.decision import Decided, Kind
from service.domain.entitlement import EntitlementState
from service.domain.policy import LATER_DECIDED
from service.engine.control import Control
from service.engine.desks.policies import PolicyOrder
from service.engine.replay import replay
from service.storage.verify import verify
from tests.builders import GOOD_FACTS, PLAYBOOKS, REFERENCE, TODAY, Bench, command, document, news, read_policy
from tests.daily import DAY, Office


@pytest.fixture
def office(bench: Bench) -> Office:
    return Office(bench)


def _with(bench: Bench, *changes: tuple[str, str]) -> None:
    """Put a policy in force that differs from the reference."""
    text = document().replace(REFERENCE, "changed")
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    for action in ("publish", "promote"):
        bench.policies.change(PolicyOrder(action, f"tests/{action}", b"", "tests", "changed", document=text))


def _with_budget(bench: Bench, budget_minor: int) -> None:
    _with(bench, ("  debt_to_income_bp:", f"  portfolio_per_day_minor: {budget_minor}\n  debt_to_income_bp:"))


def _take_over(office: Office, count: int, limit_minor: int = 10_000_000, **more: int) -> list[str]:
    names = [f"p-{number}" for number in range(count)]
    for name in names:
        taken_over = command(
            Kind.IMPORT, request_id=name, account_id=name, product="revolving", news=news(**{**GOOD_FACTS, "monthly_income": 3_000_000}),
            import_limit_minor=limit_minor, import_currency="CNY", **more,
        )  # fmt: skip
        (made,) = office.bench.execute(taken_over)
        assert isinstance(made, Decided)
    return names


def _limit(office: Office, name: str) -> int:
    account = office.bench.store.account(name)
    assert account is not None
    return account.limit_minor


def _granted(office: Office, name: str) -> dict[int, int]:
    """Give what was granted to an account by day, where something was."""
    found = office.bench.store.runs.entitlements(name, DAY + 100, 100)
    return {one.business_day: one.granted_minor for one in found if one.granted_minor}


def _short(office: Office, day: int) -> list[str]:
    found = office.desk.discrepancies(day, "", 1_000)
    return [one.account_id for one in found if one.kind is DiscrepancyKind.LEFT_SHORT]


def _is_sound(office: Office) -> bool:
    store = office.bench.store
    control = Control(read_policy, PLAYBOOKS)
    faults = verify(store).faults  # type: ignore[arg-type]  # every store is a ledger.
    return faults == replay(store, control).differences == ()  # type: ignore[arg-type]  # the same.


def test_no_run_closing_or_making_good_of_a_date_is_for_an_account_without_a_limit_on_it(office: Office) -> None:
    office.next_day(40)
    today = TODAY + 40
    names = office.open_accounts(3)
    (old,) = _take_over(office, 1, 1_000_000)
    before = [_limit(office, name) for name in names]
    for day in (today - 31, today - 2, today - 1):
        office.run(day)
    closed = office.close(today - 1)
    missed = office.close(today - 3)
    office.make_good(today - 3)
    office.work()

    assert [_limit(office, name) for name in names] == before
    assert [office.bench.store.runs.entitlements(name, today + 1, 10) for name in names] == [[], [], []]
    assert (closed.closing.incident, closed.discrepancies) == ("", ())
    assert [one.account_id for one in missed.discrepancies] == [old]
    assert sum(line.due for line in closed.closing.lines) == 1
    assert len(_granted(office, old)) == 4
    (passed,) = office.bench.store.runs.passed(1)
    assert (passed.looked, passed.granted) == (1, 1)
    office.run(today)
    assert all(_limit(office, name) > limit for name, limit in zip(names, before, strict=True))


def test_a_raise_for_a_date_before_the_first_limit_is_refused_by_the_engine_itself(office: Office) -> None:
    office.next_day(2)
    (name,) = office.open_accounts(1)
    early = command(Kind.RAISE, request_id="early", account_id=name, business_day=DAY)

    (refused,) = office.bench.execute(early)

    assert isinstance(refused, errors.NoLimitAssigned)


def test_a_limit_refused_first_begins_on_the_day_when_it_is_given(office: Office) -> None:
    poor = news(**{**GOOD_FACTS, "identity_level": 0})
    office.bench.execute(command(request_id="first", news=poor))
    office.next_day(2)
    office.bench.execute(command(request_id="second"))
    office.run(DAY)

    account = office.bench.store.account("a-1")
    assert account is not None
    assert account.limit_since_day == DAY + 1
    assert office.bench.store.runs.entitlement("a-1", DAY) is None


def test_dates_started_together_are_run_one_after_the_other_whatever_the_order_of_their_starts(office: Office) -> None:
    _with_budget(office.bench, 450_000)
    names = _take_over(office, 6)
    office.next_day()
    waiting = office.start(DAY)
    assert waiting.waits_for == 0
    office.start(TODAY)
    assert office.desk.report(DAY).waits_for == TODAY
    assert office.desk.report(TODAY).waits_for == 0
    office.work()

    assert [list(_granted(office, name)) for name in names] == [[TODAY], [TODAY], [DAY], [DAY], [], []]
    assert {office.desk.report(day).run.state for day in (TODAY, DAY)} == {RunState.DONE}
    assert (office.desk.report(DAY).waits_for, office.desk.report(DAY).left_short) == (0, 0)
    assert _is_sound(office)


def test_who_was_served_since_he_waited_does_not_come_first_again(office: Office) -> None:
    _with_budget(office.bench, 450_000)
    names = _take_over(office, 4)
    office.run(TODAY)
    office.next_day()
    office.run(DAY)
    office.next_day()
    office.run(DAY + 1)

    assert [list(_granted(office, name)) for name in names[2:]] == [[DAY], [DAY]]


def test_a_run_at_work_pauses_for_an_earlier_date_that_is_started_meanwhile(bench: Bench) -> None:
    office = Office(bench, shard_accounts=100)
    names = _take_over(office, 30, 1_000_000)
    office.next_day()
    office.start(DAY)
    worker = office.worker()
    assert worker.turn() >= 0
    office.start(TODAY)
    assert office.desk.report(DAY).waits_for == TODAY
    looked = office.desk.report(DAY).shards[0].looked
    assert worker.turn() < 0
    assert office.desk.report(DAY).shards[0].looked == looked
    office.work(worker)

    assert [len(_granted(office, name)) for name in names] == [2] * 30
    order = [one.decision.business_day for one in bench.store.account_decisions(names[-1], 0, 2)]
    assert order == [DAY, TODAY]


def test_a_cancelled_run_holds_nobody_up(office: Office) -> None:
    (name,) = _take_over(office, 1)
    office.next_day()
    office.start(TODAY)
    office.start(DAY)
    office.cancel(TODAY)
    office.work()

    assert office.desk.report(DAY).run.state is RunState.DONE
    assert list(_granted(office, name)) == [DAY]


def test_closings_and_making_good_come_before_later_dates_and_wait_for_earlier_ones(office: Office) -> None:
    (name,) = _take_over(office, 1)
    office.next_day(3)
    office.start(TODAY)
    closing = office.ask_closing(DAY)
    office.start(DAY + 1)
    assert closing.waits_for == TODAY
    assert office.desk.report(DAY + 1).waits_for == TODAY
    office.work()
    assert office.desk.closing(DAY, "", 0).closing.state is ClosingState.CLOSED
    assert sorted(_granted(office, name)) == [TODAY, DAY + 1]

    office.make_good(DAY)
    office.start(DAY + 2)
    assert office.desk.report(DAY + 2).waits_for == DAY
    office.work()
    assert office.desk.closing(DAY, "", 0).waits_for == 0
    assert sorted(_granted(office, name)) == [TODAY, DAY, DAY + 1, DAY + 2]


def test_a_missed_date_is_made_good_for_those_first_who_waited_when_it_began(office: Office) -> None:
    _with_budget(office.bench, 450_000)
    names = _take_over(office, 6)
    office.run(TODAY)
    office.next_day(2)
    office.close(DAY)
    office.make_good(DAY)
    office.work()

    assert [list(_granted(office, name)) for name in names] == [[TODAY], [TODAY], [DAY], [DAY], [], []]
    closed = office.desk.closing(DAY, "", 100)
    assert closed.closing.state is ClosingState.MADE_GOOD
    assert [(count.accounts, count.made_good) for count in closed.counts] == [(6, 6)]


def test_a_late_date_gives_nothing_of_its_budget_to_whoever_a_later_one_gave_and_lists_who_is_short(
    office: Office,
) -> None:
    _with_budget(office.bench, 450_000)
    names = _take_over(office, 6)
    office.next_day()
    office.run(DAY)
    before = [_limit(office, name) for name in names]
    office.run(TODAY)

    assert [_limit(office, name) for name in names] == before
    assert [list(_granted(office, name)) for name in names] == [[DAY], [DAY], [], [], [], []]
    late = office.bench.store.runs.entitlement(names[0], TODAY)
    assert late is not None
    assert (late.state, late.reason, late.promised_minor) == (EntitlementState.WITHHELD, LATER_DECIDED.reason, 200_000)
    assert _short(office, TODAY) == names
    assert office.desk.report(TODAY).left_short == 6
    alerts = [json.loads(one.body) for one in office.bench.store.outbox.due("alert", office.bench.clock.time_us, 10)]
    assert [(one["what"], one["accounts"]) for one in alerts if one["what"] == "run_left_short"] == [
        ("run_left_short", 6)
    ]
    office.next_day()
    closed = office.close(TODAY)
    assert closed.closing.incident == ""
    office.run(DAY + 1)
    assert [list(_granted(office, name)) for name in names[2:]] == [[DAY + 1], [DAY + 1], [], []]
    assert _is_sound(office)


def test_a_raise_that_a_customer_asked_for_today_costs_nobody_else_yesterdays_budget(office: Office) -> None:
    _with_budget(office.bench, 450_000)
    names = _take_over(office, 4)
    office.next_day()
    (own,) = office.bench.execute(command(Kind.RAISE, request_id="own", account_id=names[1]))
    assert isinstance(own, Decided)
    office.run(TODAY)

    assert [list(_granted(office, name)) for name in names] == [[TODAY], [DAY], [], []]
    slices = {one.holder: one for one in office.bench.store.runs.slices("revolving", TODAY)}
    assert (slices["sole"].raised_minor, slices["aside"].taken_minor) == (200_000, 200_000)


def test_after_a_late_date_left_somebody_short_the_next_late_one_gives_nothing_of_a_budget(office: Office) -> None:
    _with_budget(office.bench, 450_000)
    names = _take_over(office, 6)
    office.next_day(2)
    office.run(DAY + 1)
    office.run(TODAY)
    office.run(DAY)

    assert [sum(_granted(office, name).values()) for name in names] == [200_000, 200_000, 0, 0, 0, 0]
    assert _short(office, DAY) == names


@pytest.mark.parametrize(
    ("order", "raised"), [((0, 1, 2), (0, 2)), ((1, 0, 2), (1,)), ((2, 1, 0), (0, 2)), ((2, 0, 1), (0, 2))]
)
def test_a_wait_after_a_raise_holds_in_both_directions_of_time(
    office: Office, order: tuple[int, ...], raised: tuple[int, ...]
) -> None:
    _with(office.bench, ("wait_after_raise_days: 1", "wait_after_raise_days: 2"))
    (name,) = _take_over(office, 1)
    office.next_day(2)
    for day in order:
        office.run(TODAY + day)

    assert sorted(_granted(office, name)) == [TODAY + day for day in raised]
    assert _is_sound(office)


def test_a_cut_that_came_later_leaves_nothing_for_an_earlier_date(office: Office) -> None:
    (name,) = _take_over(office, 1)
    office.next_day(2)
    late, paid = news(dpd_now=40), news(dpd_now=0)
    office.bench.execute(command(Kind.REVIEW, request_id="late", account_id=name, news=late))
    office.bench.execute(command(Kind.REDUCE, request_id="paid", account_id=name, news=paid))
    cut_to = _limit(office, name)
    office.run(TODAY)

    assert cut_to < 10_000_000
    assert _limit(office, name) == cut_to
    assert _short(office, TODAY) == [name]


@pytest.mark.parametrize("cap", ["per_30_days_minor: 2000000", "absolute_minor: 50000000"])
def test_caps_hold_over_every_window_and_by_the_limit_of_today(office: Office, cap: str) -> None:
    least = 300_000 if cap.startswith("per_30") else 10_300_000
    changes = [(cap, f"{cap.partition(':')[0]}: {least}")]
    if not cap.startswith("per_30"):
        changes.append(("  maximum_minor: 20000000", f"  maximum_minor: {least}"))
    _with(office.bench, *changes)
    (name,) = _take_over(office, 1)
    office.next_day(20)
    office.run(TODAY + 20)
    office.run(TODAY + 1)
    office.run(TODAY)

    granted = _granted(office, name)
    assert granted[TODAY + 20] == 200_000
    assert sum(granted.values()) == 300_000
    partial = office.bench.store.runs.entitlement(name, TODAY + 1)
    assert partial is not None
    assert (partial.state, partial.granted_minor) == (EntitlementState.GRANTED, 100_000)
    assert set(_short(office, TODAY + 1)) == set(_short(office, TODAY)) == {name}
    assert _is_sound(office)


def test_a_late_raise_is_a_share_of_the_limit_of_its_day(office: Office) -> None:
    (name,) = _take_over(office, 1, 3_000_000)
    office.next_day(12)
    for day in range(3, 13):
        office.run(TODAY + day)
    office.run(TODAY)

    assert _granted(office, name)[TODAY + 12] > _granted(office, name)[TODAY + 3] == 60_000
    assert _granted(office, name)[TODAY] == 60_000
    # What the later raises would have been more by is not given, and said.
    (short,) = office.desk.discrepancies(TODAY, "", 10)
    assert isinstance(short, Discrepancy)
    assert (short.account_id, short.kind) == (name, DiscrepancyKind.LEFT_SHORT)


def test_a_window_reaches_back_from_the_oldest_date_that_may_be_run(office: Office) -> None:
    _with(office.bench, ("per_30_days_minor: 2000000", "per_30_days_minor: 300000"))
    (name,) = _take_over(office, 1)
    office.run(TODAY)
    office.next_day(55)
    fresh = news(**{**GOOD_FACTS, "monthly_income": 3_000_000})
    office.bench.execute(command(Kind.REDUCE, request_id="fresh", account_id=name, news=fresh))
    office.run(TODAY + 55)
    office.run(TODAY + 29)

    # Without the limits of before, the caps of that window would not know of the first raise.
    assert _granted(office, name) == {TODAY: 200_000, TODAY + 55: 200_000, TODAY + 29: 100_000}


def test_policies_stored_before_have_texts_for_what_a_late_date_withholds() -> None:
    for version in (REFERENCE, "instalment-2026-2"):
        text = read_policy(document(version))[0].texts[LATER_DECIDED.reason]
        assert text.zh
        assert text.en
