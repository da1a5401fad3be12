"""Facts count what their names say: calendar months of due dates, twelve months, times within a day; sums are bounded."""

from datetime import date

import msgspec
import pytest

from service.domain.behaviour import Event, EventKind, effective
from service.domain.days import month_of, year_before
from service.domain.errors import BehaviourFull
from service.domain.facts import INDEX, NOTHING_KNOWN, merge
from service.domain.growing import Growing
from service.domain.money import MINOR_MAX, SUM_MAX
from service.domain.statements import PAYMENTS_A_DAY
from service.storage.behaviours import behaviour_bytes, behaviour_of
from tests.builders import DAY_US, TODAY, news
from tests.proof.counted import DAY, EPOCH, HOUR_US, named, taken


def _bill(due: date, paid: date | None = None, amount: int = 100) -> list[Event]:
    """Make a statement of ten days before a date, and its payment."""
    due_day = due.toordinal() - EPOCH
    issued = Event(EventKind.STATEMENT, (due_day - 10) * DAY_US, due_day - 10, amount, due_day)
    if paid is None:
        return [issued]
    day = paid.toordinal() - EPOCH
    return [issued, Event(EventKind.REPAYMENT, day * DAY_US, day, amount)]


def _on(day: date, *bills: list[Event]) -> dict[str, int | None]:
    """Give the facts on a day, of events that are taken on it."""
    today = day.toordinal() - EPOCH
    behaviour = taken(None, [event for bill in bills for event in bill], today)
    return named(effective(NOTHING_KNOWN, behaviour, today).values, INDEX.keys() - {"utilisation_bp"})


def test_weekly_bills_paid_late_are_late_in_the_months_that_they_fall_due_in() -> None:
    dues = [date(2026, 9, 4) + 7 * place * DAY for place in range(9)]

    facts = _on(date(2026, 11, 20), *[_bill(due, due + DAY) for due in dues])

    assert facts["late_months_12m"] == 2
    assert facts["on_time_streak_months"] == 0


def test_weekly_bills_paid_on_time_make_a_streak_of_months() -> None:
    dues = [date(2026, 1, 2) + 7 * place * DAY for place in range(45)]

    facts = _on(date(2026, 11, 20), *[_bill(due, due) for due in dues])

    assert facts["on_time_streak_months"] == 11
    assert facts["late_months_12m"] == 0


def test_one_late_bill_spoils_its_month_and_none_before_or_after_it() -> None:
    dues = [date(2026, 1, 2) + 7 * place * DAY for place in range(45)]

    facts = _on(date(2026, 11, 20), *[_bill(due, due + DAY if due == date(2026, 8, 7) else due) for due in dues])

    assert facts["late_months_12m"] == 1
    assert facts["on_time_streak_months"] == 3


def test_bills_of_one_day_are_one_month_late_and_a_bill_of_the_31st_is_late_in_its_own_month() -> None:
    same_day = [_bill(date(2026, 10, 31), date(2026, 11, 1), amount) for amount in (100, 200, 300)]

    facts = _on(date(2026, 11, 20), *same_day)

    assert (facts["late_months_12m"], facts["dpd_max_12m"]) == (1, 1)


def test_every_month_late_is_twelve_months_late() -> None:
    dues = [date(2025, 11, 21), *(date(2026, month, 10) for month in range(1, 12)), date(2025, 12, 10)]

    facts = _on(date(2026, 11, 20), *[_bill(due, due + DAY) for due in sorted(dues)])

    assert facts["late_months_12m"] == 12


@pytest.mark.parametrize(
    ("today", "last_out"),
    [
        (date(2026, 11, 20), date(2025, 11, 20)),
        (date(2028, 2, 29), date(2027, 2, 28)),
        (date(2029, 2, 28), date(2028, 2, 28)),
        (date(2028, 3, 1), date(2027, 3, 1)),
    ],
)
def test_twelve_months_are_counted_by_the_calendar(today: date, last_out: date) -> None:
    assert _on(today, _bill(last_out, last_out + DAY))["late_months_12m"] == 0
    assert _on(today, _bill(last_out + DAY, last_out + 2 * DAY))["late_months_12m"] == 1


def _at(kind: EventKind, hour: int, amount: int = 100, due_day: int = 0) -> Event:
    return Event(kind, (TODAY - 40) * DAY_US + hour * HOUR_US, TODAY - 40, amount, due_day)


@pytest.mark.parametrize(("hour", "dpd"), [(9, 20), (12, 0), (15, 0)])
def test_a_payment_pays_a_statement_of_its_day_from_the_moment_of_issue_on(hour: int, dpd: int) -> None:
    statement = _at(EventKind.STATEMENT, 12, due_day=TODAY - 20)
    payment = _at(EventKind.REPAYMENT, hour)

    for events in ([statement, payment], [payment, statement]):
        facts = effective(NOTHING_KNOWN, taken(None, events, TODAY), TODAY).values
        assert facts[INDEX["dpd_now"]] == dpd


@pytest.mark.parametrize("count", [2, PAYMENTS_A_DAY, PAYMENTS_A_DAY + 1, 40, 700])
@pytest.mark.parametrize("is_first", [True, False])
def test_payments_of_a_morning_pay_no_statement_of_noon_however_many_they_are(count: int, *, is_first: bool) -> None:
    statement = _at(EventKind.STATEMENT, 12, count, TODAY - 20)
    payments = [
        Event(EventKind.REPAYMENT, (TODAY - 40) * DAY_US + place * 12 * HOUR_US // count, TODAY - 40, 1)
        for place in range(count)
    ]

    behaviour = taken(None, [statement, *payments] if is_first else [*payments, statement], TODAY)

    assert behaviour is not None
    assert sum(amount for _, _, amount in behaviour.payments) == count
    assert len(behaviour.payments) <= PAYMENTS_A_DAY
    assert effective(NOTHING_KNOWN, behaviour, TODAY).values[INDEX["dpd_now"]] == 20


def test_more_payments_of_a_day_than_times_are_kept_count_from_the_end_of_their_hours() -> None:
    statement = _at(EventKind.STATEMENT, 12, 60, TODAY - 20)
    payments = [
        Event(EventKind.REPAYMENT, (TODAY - 40) * DAY_US + 12 * HOUR_US + minute * 60_000_000 - 1, TODAY - 40, 1)
        for minute in range(1, 61)
    ]

    for events in ([statement, *payments], [*payments[::-1], statement]):
        facts = effective(NOTHING_KNOWN, taken(None, events, TODAY), TODAY).values
        assert (facts[INDEX["dpd_now"]], facts[INDEX["payment_ratio_bp"]]) == (0, 10_000)


@pytest.mark.parametrize(
    ("kind", "field"), [(EventKind.REPAYMENT, "repayment"), (EventKind.TRANSACTION, "transaction")]
)
def test_amounts_of_a_day_that_would_outgrow_their_sum_are_refused_and_leave_no_mark(
    kind: EventKind, field: str
) -> None:
    growing = Growing(None, TODAY, TODAY * DAY_US)
    for place in range(SUM_MAX // MINOR_MAX):
        growing.take(Event(kind, TODAY * DAY_US + place % 20, TODAY, MINOR_MAX))
    full = growing.behaviour()

    with pytest.raises(BehaviourFull) as refused:
        growing.take(Event(kind, TODAY * DAY_US, TODAY, 1))
    growing.take(Event(kind, (TODAY - 1) * DAY_US, TODAY - 1, MINOR_MAX))

    assert refused.value.metadata["field"] == f"{field}.amount"
    assert full is not None
    assert behaviour_of(behaviour_bytes(full)) == full


def test_counts_stay_within_the_range_of_their_fact_and_a_mean_is_of_all_that_was_counted() -> None:
    growing = Growing(None, TODAY, TODAY * DAY_US)
    growing.transactions = [(TODAY, 250_000, 250_000 * 40)]
    growing.take(Event(EventKind.TRANSACTION, TODAY * DAY_US, TODAY, 40))
    for _ in range(1_001):
        growing.take(Event(EventKind.ENQUIRY, TODAY * DAY_US, TODAY))

    facts = effective(NOTHING_KNOWN, growing.behaviour(), TODAY).values

    assert facts[INDEX["transactions_30d"]] == 100_000
    assert facts[INDEX["mean_transaction"]] == 40
    assert facts[INDEX["enquiries_30d"]] == 1_000


def test_a_behaviour_of_before_times_counted_reads_as_it_counted_then() -> None:
    day, due = TODAY - 30, TODAY - 10
    before = [
        TODAY - 700, TODAY * DAY_US, TODAY * DAY_US, [], [], [], [], [[due, day, 100, 0, False]], [[day, 100]], 40,
        False, False, False,
    ]  # fmt: skip

    behaviour = behaviour_of(msgspec.msgpack.encode(before))
    early = Event(EventKind.STATEMENT, day * DAY_US, day, 50, due)
    late = Event(EventKind.REPAYMENT, (day + 1) * DAY_US - 1, day, 50)
    more = taken(behaviour, [late, early], TODAY)

    assert behaviour is not None
    for found in (behaviour, more):
        facts = effective(NOTHING_KNOWN, found, TODAY).values
        assert facts[INDEX["dpd_now"]] == 0
        assert facts[INDEX["payment_ratio_bp"]] == 10_000
        # Forty statements in a row of the ten or eleven months that they can have fallen due in, and the new one.
        assert facts[INDEX["on_time_streak_months"]] in (11, 12)
    assert behaviour_of(behaviour_bytes(behaviour)) == behaviour


def test_months_and_years_are_those_of_the_calendar() -> None:
    for day in range(10_957, 84_006):
        here = date.fromordinal(EPOCH + day)
        before = date.fromordinal(EPOCH + year_before(day))

        assert month_of(day) == here.year * 12 + here.month - 1
        assert (before.year, before.month) == (here.year - 1, here.month)
        assert before.day == here.day or (here.month, here.day, before.day) == (2, 29, 28)


@pytest.mark.parametrize(
    ("fact", "days"), [("enquiries_30d", 30), ("transactions_30d", 30), ("dpd_max_12m", 365), ("late_months_12m", 365)]
)
def test_what_was_stated_of_a_window_counts_beside_events_until_that_window_is_over(fact: str, days: int) -> None:
    day = TODAY - 2
    heard = taken(
        None,
        [
            Event(EventKind.ENQUIRY, day * DAY_US, day),
            Event(EventKind.TRANSACTION, day * DAY_US, day, 100),
            Event(EventKind.STATEMENT, (day - 1) * DAY_US, day - 1, 100, TODAY - 1),
            Event(EventKind.REPAYMENT, day * DAY_US, day, 100),
        ],
        TODAY,
    )

    def told(days_ago: int) -> int | None:
        stated = merge(NOTHING_KNOWN, news(**{fact: 9}), (TODAY - days_ago) * DAY_US)
        return named(effective(stated, heard, TODAY).values, [fact])[fact]

    alone = named(effective(NOTHING_KNOWN, heard, TODAY).values, [fact])[fact]
    assert alone in (0, 1)
    assert [told(ago) for ago in (0, days - 1, days + 1, 800)] == [9, 9, alone, alone]
