"""Orders about daily runs and closings: start, resume, cancel, close, make good; each once for a key.

Promises that a repetition tells how the day stands and changes nothing: a late retry of a start revives no run that was
cancelled since, and one of a cancellation stops none that was resumed.
"""

from service.domain.account import DAYS_BACK_MAX
from service.domain.daily_run import Closing, ClosingReport, ClosingState, Run, RunReport, RunState
from service.domain.days import iso
from service.domain.errors import DayClosed, DayOpen, InvalidRequest, Violation
from service.engine.acts import Order, ordered
from service.engine.control import Control
from service.engine.desks.run_reads import RunReads
from service.engine.ports.calendar import Calendar
from service.engine.ports.store import Store


class RunOrders(RunReads):
    """Carries out orders about days; each gives the day as it stands, and whether the order was carried out before."""

    def __init__(self, store: Store, control: Control, calendar: Calendar) -> None:
        super().__init__(store)
        self._control = control
        self._calendar = calendar

    def start(self, order: Order) -> tuple[RunReport, bool]:
        """Start a day's run; one that was started stays as it is. Raises InvalidRequest or DayClosed."""
        day = order.business_day
        with ordered(self._store, self._control, order) as (row, known):
            if known is None:
                self._refuse_run(day, self._calendar.business_day(row.now_us))
                if self._runs.run(day) is None:
                    run = Run(day, RunState.RUNNING, order.caller, row.now_us, 0, 0, "", is_cut=False)
                    self._runs.enter_run(run)
        return self.report(day), known is not None

    def resume(self, order: Order) -> tuple[RunReport, bool]:
        """Let a cancelled run go on from where it was stopped; raises RunNotFound, InvalidRequest or DayClosed."""
        day = order.business_day
        with ordered(self._store, self._control, order) as (row, known):
            if known is None:
                run = self._run(day)
                self._refuse_run(day, self._calendar.business_day(row.now_us))
                if run.state is RunState.CANCELLED:
                    self._runs.enter_run(run._replace(state=RunState.RUNNING, ended_us=0))
        return self.report(day), known is not None

    def _refuse_run(self, business_day: int, today: int) -> None:
        if self._runs.closing(business_day) is not None:
            raise DayClosed(business_date=iso(business_day))
        if not today - DAYS_BACK_MAX <= business_day <= today:
            days = f"{iso(today)} or one of the {DAYS_BACK_MAX} days before"
            what = f"{iso(business_day)} is out of range; send {days}"
            raise InvalidRequest((Violation("business_date", what),))

    def cancel(self, order: Order) -> tuple[RunReport, bool]:
        """Stop a run after the chunk in hand; what was raised stays raised. Raises RunNotFound."""
        day = order.business_day
        with ordered(self._store, self._control, order) as (row, known):
            if known is None:
                run = self._run(day)
                if run.state is RunState.RUNNING:
                    self._runs.enter_run(run._replace(state=RunState.CANCELLED, ended_us=row.now_us))
        return self.report(day), known is not None

    def close(self, order: Order) -> tuple[ClosingReport, bool]:
        """Hold a day that is over against the decision log, once; raises DayOpen or InvalidRequest."""
        day = order.business_day
        with ordered(self._store, self._control, order) as (row, known):
            if known is None and self._runs.closing(day) is None:
                self._refuse_open(day, self._calendar.business_day(row.now_us))
                self._runs.enter_closing(
                    Closing(day, ClosingState.CLOSING, order.caller, row.now_us, 0, "", "", 0, 0, (), "")
                )
        return self.closing(day, "", 0), known is not None

    def _refuse_open(self, business_day: int, today: int) -> None:
        if business_day < today - DAYS_BACK_MAX:
            what = f"{iso(business_day)} lies more than {DAYS_BACK_MAX} days back"
            raise InvalidRequest((Violation("business_date", what),))
        if business_day >= today:
            raise DayOpen("the business date is not over yet", business_date=iso(business_day))
        run = self._runs.run(business_day)
        if run is not None and run.state is RunState.RUNNING:
            raise DayOpen("the day's run is still at work; wait for it or cancel it", business_date=iso(business_day))

    def make_good(self, order: Order) -> tuple[ClosingReport, bool]:
        """Raise those for whom a closed day is missing a raise; raises RunNotFound or DayOpen."""
        day = order.business_day
        with ordered(self._store, self._control, order) as (row, known):
            if known is None:
                closing = self._closing(day)
                if closing.state is ClosingState.CLOSING:
                    raise DayOpen("the day is still being closed", business_date=iso(day))
                if closing.state is ClosingState.CLOSED and closing.incident:
                    self._runs.enter_closing(
                        closing._replace(
                            state=ClosingState.MAKING_GOOD, done_id="", holder="", lease_us=0, ended_us=0,
                            making_good_by=order.caller, making_good_us=row.now_us,
                        )
                    )  # fmt: skip
        return self.closing(day, "", 0), known is not None
