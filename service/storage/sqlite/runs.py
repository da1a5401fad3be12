"""The promise ledger, daily runs, budgets and closings in SQLite: the tables of migration 4, and acts.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Sequence
from typing import Final

from service.domain.account import Account
from service.domain.act import Act
from service.domain.daily_run import (
    Closing,
    ClosingState,
    Discrepancy,
    DiscrepancyCount,
    DiscrepancyKind,
    Passed,
    PromiseLine,
    Run,
    RunState,
    Shard,
    Slice,
)
from service.domain.entitlement import Entitlement, EntitlementState
from service.storage import records, rows
from service.storage.sqlite.before import Left, merged
from service.storage.sqlite.forms import FLAG, Form, json_of, number_of
from service.storage.sqlite.sql import STATEMENTS, Execute, numbers_of

ENTITLEMENTS: Final = Form(
    Entitlement, {"state": number_of(EntitlementState)}, reads="entitlement entitlements", enters="enter_entitlement"
)
RUNS: Final = Form(
    Run, {"state": number_of(RunState), "is_cut": FLAG}, reads="run runs_open runs_of_states", enters="enter_run"
)
PASSED: Final = Form(Passed, {"state": number_of(RunState)}, reads="passed")
SHARDS: Final = Form(Shard, reads="shards shard", enters="enter_shard")
SLICES: Final = Form(Slice, reads="budget_slices")
CLOSINGS: Final = Form(
    Closing,
    {
        "state": number_of(ClosingState),
        "lines": json_of(tuple[PromiseLine, ...]),
    },
    reads="closing closings_open closings_of_states",
    enters="enter_closing",
)
DISCREPANCIES: Final = Form(
    Discrepancy,
    {"kind": number_of(DiscrepancyKind)},
    reads="discrepancies discrepancies_of_account",
    enters="enter_discrepancy",
)
DISCREPANCY_COUNTS: Final = Form(DiscrepancyCount, {"kind": number_of(DiscrepancyKind)}, reads="discrepancy_count")
ACTS: Final = Form(Act, reads="act", enters="insert_act")


class SqliteRuns:
    """The statements of migration 4."""

    def __init__(self, run: Execute, left: Left) -> None:
        self._run = run
        self._left = left

    def entitlement(self, account_id: str, business_day: int) -> Entitlement | None:
        """Find one entitlement."""
        return ENTITLEMENTS.first(self._run(STATEMENTS["entitlement"], (account_id, business_day)))

    def entitlements(self, account_id: str, before_day: int, count: int) -> list[Entitlement]:
        """Read an account's entitlements, newest first, from before a day."""
        found = self._run(STATEMENTS["entitlements"], (account_id, before_day, count))
        return ENTITLEMENTS.records(found)

    def entitlements_unfounded(self) -> int:
        """Count promises whose decision is missing, another's, or promised nothing."""
        found = self._run(STATEMENTS["entitlements_founded"], ())
        unfounded = sum(not records.is_founded(account_id, day, record) for account_id, day, record in found)
        before = self._left()
        return unfounded - (before.count("before_entitlements_founded") if before is not None else 0)

    def waiting_day(self, before_day: int) -> int:
        """Give the newest day before a day on which somebody was withheld for the budget, 0 where there is none."""
        return int(self._run(STATEMENTS["waiting_day"], (before_day,))[0][0])

    def waiting(self, business_day: int, after: tuple[int, int], count: int) -> list[tuple[str, int, int]]:
        """Read who waits since a day: account, since when, decision; in turn, from after a place in it."""
        return [tuple(row) for row in self._run(STATEMENTS["waiting"], (business_day, *after, count))]

    def run(self, business_day: int) -> Run | None:
        """Find a day's run."""
        return RUNS.first(self._run(STATEMENTS["run"], (business_day,)))

    def runs_open(self) -> list[Run]:
        """Read the runs that are not over."""
        return RUNS.records(self._run(STATEMENTS["runs_open"], ()))

    def runs_of(self, states: Sequence[RunState], before_day: int, count: int) -> list[Run]:
        """Read runs of some states, newest first, from before a day."""
        return RUNS.records(self._run(STATEMENTS["runs_of_states"], (before_day, numbers_of(states), count)))

    def enter_run(self, run: Run) -> None:
        """Enter a run, or what became of it."""
        self._run(STATEMENTS["enter_run"], RUNS.bound(run))

    def passed(self, count: int) -> list[Passed]:
        """Add up what so many runs have come to, newest first."""
        return PASSED.records(self._run(STATEMENTS["passed"], (count,)))

    def account_count(self) -> int:
        """Count the accounts; walks them all."""
        name = "account_count" if self._left() is None else "account_count_of_both"
        return int(self._run(STATEMENTS[name], ())[0][0])

    def shard_end(self, after_id: str, count: int) -> str:
        """Give the id of the `count`-th account after an id, empty where there are fewer."""
        name = "shard_end" if self._left() is None else "shard_end_of_both"
        found = self._run(STATEMENTS[name], (after_id, count - 1))
        return str(found[0][0]) if found else ""

    def accounts_after(self, after_id: str, upto_id: str, count: int) -> list[Account]:
        """Read accounts in order within a range of ids."""
        before = self._left()
        first = before.accounts_after(after_id, upto_id, count) if before is not None else []
        found = self._run(STATEMENTS["accounts_after"], (after_id, upto_id, count))
        accounts = [rows.account(rows.AccountRow._make(row)) for row in found]
        return merged(first, accounts, count, lambda account: account.account_id) if first else accounts

    def shards(self, business_day: int) -> list[Shard]:
        """Read a run's shards in order."""
        return SHARDS.records(self._run(STATEMENTS["shards"], (business_day,)))

    def shard(self, business_day: int, shard: int) -> Shard | None:
        """Find one shard."""
        return SHARDS.first(self._run(STATEMENTS["shard"], (business_day, shard)))

    def enter_shard(self, shard: Shard) -> None:
        """Enter a shard, or how far it is."""
        self._run(STATEMENTS["enter_shard"], SHARDS.bound(shard))

    def slices(self, product: str, business_day: int) -> list[Slice]:
        """Read what was taken out of a day's budget."""
        return SLICES.records(self._run(STATEMENTS["budget_slices"], (product, business_day)))

    def budget_days(self, product: str, first_day: int, last_day: int) -> list[tuple[int, Slice]]:
        """Read what was taken out of the budgets of some days, ends included, each with its day."""
        found = self._run(STATEMENTS["budget_days"], (product, first_day, last_day))
        return [(business_day, SLICES.record(taken)) for business_day, *taken in found]

    def enter_slice(self, product: str, business_day: int, taken: Slice) -> None:
        """Take or use up a slice of a day's budget."""
        self._run(STATEMENTS["enter_slice"], (product, business_day, *taken))

    def closing(self, business_day: int) -> Closing | None:
        """Find how a day was closed."""
        return CLOSINGS.first(self._run(STATEMENTS["closing"], (business_day,)))

    def closings_open(self) -> list[Closing]:
        """Read the closings that are not over."""
        return CLOSINGS.records(self._run(STATEMENTS["closings_open"], ()))

    def closings_of(self, states: Sequence[ClosingState], before_day: int, count: int) -> list[Closing]:
        """Read closings of some states, newest first, from before a day."""
        found = self._run(STATEMENTS["closings_of_states"], (before_day, numbers_of(states), count))
        return CLOSINGS.records(found)

    def act(self, key: str) -> Act | None:
        """Find what was done under a key."""
        return ACTS.first(self._run(STATEMENTS["act"], (key,)))

    def enter_act(self, act: Act) -> None:
        """Record what somebody did."""
        self._run(STATEMENTS["insert_act"], ACTS.bound(act))

    def enter_closing(self, closing: Closing) -> None:
        """Enter a closing, or how far it is."""
        self._run(STATEMENTS["enter_closing"], CLOSINGS.bound(closing))

    def enter_discrepancy(self, found: Discrepancy) -> None:
        """Enter an account for which a day does not add up, or the decision that made it good."""
        self._run(STATEMENTS["enter_discrepancy"], DISCREPANCIES.bound(found))

    def discrepancies(self, business_day: int, after_id: str, count: int) -> list[Discrepancy]:
        """Read a day's discrepancies in order, from after an account."""
        found = self._run(STATEMENTS["discrepancies"], (business_day, after_id, count))
        return DISCREPANCIES.records(found)

    def discrepancies_of(self, account_id: str, count: int) -> list[Discrepancy]:
        """Read an account's discrepancies, newest day first."""
        found = self._run(STATEMENTS["discrepancies_of_account"], (account_id, count))
        return DISCREPANCIES.records(found)

    def discrepancy_counts(self, business_day: int) -> list[DiscrepancyCount]:
        """Count a day's discrepancies by kind."""
        return DISCREPANCY_COUNTS.records(self._run(STATEMENTS["discrepancy_count"], (business_day,)))
