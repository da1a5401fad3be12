"""What is told of daily runs and closings: how far they are, what differs, what was promised to whom.

Promises reads only, so any process that has the store answers them.
"""

from collections.abc import Sequence
from typing import Final

from service.domain.daily_run import Closing, ClosingReport, ClosingState, Discrepancy, Run, RunReport, RunState
from service.domain.days import iso
from service.domain.entitlement import Entitlement
from service.domain.errors import AccountNotFound, RunNotFound
from service.engine.desks.left_short import count_left_short
from service.engine.ports.runs import RunStore
from service.engine.ports.store import Store

LAST_DAY: Final = 1 << 31
"""Above every business day."""


class RunReads:
    """Reads runs and closings of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def _runs(self) -> RunStore:
        return self._store.runs

    def report(self, business_day: int) -> RunReport:
        """Read a run; raises RunNotFound."""
        return self._reported(self._run(business_day))

    def reports(self, states: Sequence[RunState], before_day: int, count: int) -> list[RunReport]:
        """Read runs of some states, newest first, from before a day."""
        return [self._reported(run) for run in self._runs.runs_of(states, before_day, count)]

    def _reported(self, run: Run) -> RunReport:
        day = run.business_day
        waits_for = self._waits_for(day) if run.state is RunState.RUNNING else 0
        return RunReport(run, tuple(self._runs.shards(day)), count_left_short(self._runs, day), waits_for)

    def closing(self, business_day: int, after_id: str, count: int) -> ClosingReport:
        """Read a closing with a page of its discrepancies; raises RunNotFound."""
        return self._closed(self._closing(business_day), after_id, count)

    def closings(self, states: Sequence[ClosingState], before_day: int, count: int) -> list[ClosingReport]:
        """Read closings of some states, newest first, from before a day; without their discrepancies."""
        return [self._closed(closing, "", 0) for closing in self._runs.closings_of(states, before_day, count)]

    def _closed(self, closing: Closing, after_id: str, count: int) -> ClosingReport:
        day = closing.business_day
        found = self._runs.discrepancies(day, after_id, count) if count else []
        waits_for = 0 if closing.ended_us else self._waits_for(day)
        return ClosingReport(closing, tuple(self._runs.discrepancy_counts(day)), tuple(found), waits_for)

    def discrepancies(self, business_day: int, after_id: str, count: int) -> list[Discrepancy]:
        """Read a page of what does not add up on a day that was run or closed; raises RunNotFound."""
        if self._runs.run(business_day) is None:
            self._closing(business_day)
        return self._runs.discrepancies(business_day, after_id, count)

    def discrepancies_of(self, account_id: str, count: int) -> list[Discrepancy]:
        """Read an account's discrepancies, newest day first; raises AccountNotFound."""
        self._currency(account_id)
        return self._runs.discrepancies_of(account_id, count)

    def entitlements(self, account_id: str, before_day: int, count: int) -> tuple[list[Entitlement], str]:
        """Give an account's promises, newest first, from before a day, and its currency; raises AccountNotFound."""
        currency = self._currency(account_id)
        return self._runs.entitlements(account_id, before_day, count), currency

    def _currency(self, account_id: str) -> str:
        account = self._store.account(account_id)
        if account is None:
            raise AccountNotFound(account_id=account_id)
        return account.currency

    def _run(self, business_day: int) -> Run:
        run = self._runs.run(business_day)
        if run is None:
            raise RunNotFound(business_date=iso(business_day))
        return run

    def _closing(self, business_day: int) -> Closing:
        closing = self._runs.closing(business_day)
        if closing is None:
            raise RunNotFound(business_date=iso(business_day))
        return closing

    def _waits_for(self, business_day: int) -> int:
        """Give the earlier day that an open one waits for, 0 where it is its turn."""
        return first_day if (first_day := self._first_open_day()) < business_day else 0

    def _first_open_day(self) -> int:
        """Give the first day whose run or closing is at work, LAST_DAY where there is none."""
        open_days = [run.business_day for run in self._runs.runs_open()]
        open_days += [closing.business_day for closing in self._runs.closings_open()]
        return min(open_days, default=LAST_DAY)
