"""The promise ledger, daily runs, budgets and closings in memory, by the same rules as the durable stores."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy

from service.domain.account import Account
from service.domain.act import Act
from service.domain.daily_run import (
    Closing,
    ClosingState,
    Discrepancy,
    DiscrepancyCount,
    DiscrepancyKind,
    Passed,
    Run,
    RunState,
    Shard,
    Slice,
)
from service.domain.decision import Decided
from service.domain.entitlement import Entitlement


class MemoryRuns:
    """Plain dictionaries; `snapshot` and `restore` make them part of the store's transaction."""

    def __init__(self, accounts: Mapping[str, Account], decisions: Mapping[int, Decided]) -> None:
        self._accounts = accounts
        self._decisions = decisions
        self._entitlements: dict[tuple[str, int], Entitlement] = {}
        self._runs: dict[int, Run] = {}
        self._shards: dict[tuple[int, int], Shard] = {}
        self._slices: dict[tuple[str, int, str], Slice] = {}
        self._closings: dict[int, Closing] = {}
        self._discrepancies: dict[tuple[int, str, DiscrepancyKind], Discrepancy] = {}
        self._acts: dict[str, Act] = {}

    def snapshot(self) -> dict[str, object]:
        """Give what `restore` needs."""
        return {name: copy(value) for name, value in vars(self).items() if name not in ("_accounts", "_decisions")}

    def restore(self, snapshot: dict[str, object]) -> None:
        """Go back to a snapshot."""
        vars(self).update(snapshot)

    def settle(self, entitlements: Iterable[Entitlement]) -> None:
        """Settle promises; what was granted stays granted, and a second grant on one day adds up."""
        for new in entitlements:
            key = new.account_id, new.business_day
            old = self._entitlements.get(key)
            if old is None:
                self._entitlements[key] = new
            elif new.state <= old.state:
                self._entitlements[key] = new._replace(
                    promised_minor=max(old.promised_minor, new.promised_minor),
                    granted_minor=old.granted_minor + new.granted_minor,
                )

    def entitlement(self, account_id: str, business_day: int) -> Entitlement | None:
        """Find one entitlement."""
        return self._entitlements.get((account_id, business_day))

    def entitlements(self, account_id: str, before_day: int, count: int) -> list[Entitlement]:
        """Read an account's entitlements, newest first, from before a day."""
        own = [one for (name, day), one in self._entitlements.items() if name == account_id and day < before_day]
        return sorted(own, key=lambda one: -one.business_day)[:count]

    def entitlements_unfounded(self) -> int:
        """Count promises whose decision is missing, another's, or promised nothing."""
        return sum(not self._is_founded(one) for one in self._entitlements.values())

    def _is_founded(self, one: Entitlement) -> bool:
        decided = self._decisions.get(one.decision)
        if decided is None:
            return False
        made = decided.decision
        names = (made.account_id, made.business_day) == (one.account_id, one.business_day)
        return names and made.promised_minor > 0

    def waiting_day(self, before_day: int) -> int:
        """Give the newest day before a day on which somebody was withheld for the budget, 0 where there is none."""
        days = (one.business_day for one in self._entitlements.values() if one.waiting_since)
        return max((day for day in days if day < before_day), default=0)

    def waiting(self, business_day: int, after: tuple[int, int], count: int) -> list[tuple[str, int, int]]:
        """Read who waits since a day: account, since when, decision; in turn, from after a place in it."""
        on_day = (one for one in self._entitlements.values() if one.business_day == business_day)
        places = sorted((one.waiting_since, one.decision, one.account_id) for one in on_day if one.waiting_since)
        return [(name, since, decision) for since, decision, name in places if (since, decision) > after][:count]

    def run(self, business_day: int) -> Run | None:
        """Find a day's run."""
        return self._runs.get(business_day)

    def runs_open(self) -> list[Run]:
        """Read the runs that are not over."""
        return [self._runs[day] for day in sorted(self._runs) if self._runs[day].state is RunState.RUNNING]

    def runs_of(self, states: Sequence[RunState], before_day: int, count: int) -> list[Run]:
        """Read runs of some states, newest first, from before a day."""
        found = [self._runs[day] for day in sorted(self._runs, reverse=True) if day < before_day]
        return [run for run in found if run.state in states][:count]

    def enter_run(self, run: Run) -> None:
        """Enter a run, or what became of it."""
        self._runs[run.business_day] = run

    def passed(self, count: int) -> list[Passed]:
        """Add up what so many runs have come to, newest first."""
        found = []
        for day in sorted(self._runs, reverse=True)[:count]:
            run, shards = self._runs[day], self.shards(day)
            found.append(
                Passed(
                    day, run.state, run.ended_us, sum(shard.looked - shard.without_limit for shard in shards),
                    sum(shard.granted for shard in shards), sum(shard.waiting for shard in shards),
                )
            )  # fmt: skip
        return found

    def account_count(self) -> int:
        """Count the accounts."""
        return len(self._accounts)

    def shard_end(self, after_id: str, count: int) -> str:
        """Give the id of the `count`-th account after an id, empty where there are fewer."""
        later = sorted(name for name in self._accounts if name > after_id)
        return later[count - 1] if len(later) >= count else ""

    def accounts_after(self, after_id: str, upto_id: str, count: int) -> list[Account]:
        """Read accounts in order within a range of ids."""
        return [self._accounts[name] for name in sorted(self._accounts) if after_id < name <= upto_id][:count]

    def shards(self, business_day: int) -> list[Shard]:
        """Read a run's shards in order."""
        return [self._shards[key] for key in sorted(self._shards) if key[0] == business_day]

    def shard(self, business_day: int, shard: int) -> Shard | None:
        """Find one shard."""
        return self._shards.get((business_day, shard))

    def enter_shard(self, shard: Shard) -> None:
        """Enter a shard, or how far it is."""
        self._shards[shard.business_day, shard.shard] = shard

    def slices(self, product: str, business_day: int) -> list[Slice]:
        """Read what was taken out of a day's budget."""
        return [self._slices[key] for key in sorted(self._slices) if key[:2] == (product, business_day)]

    def budget_days(self, product: str, first_day: int, last_day: int) -> list[tuple[int, Slice]]:
        """Read what was taken out of the budgets of some days, ends included, each with its day."""
        keys = sorted(key for key in self._slices if key[0] == product and first_day <= key[1] <= last_day)
        return [(key[1], self._slices[key]) for key in keys]

    def enter_slice(self, product: str, business_day: int, taken: Slice) -> None:
        """Take or use up a slice of a day's budget."""
        self._slices[product, business_day, taken.holder] = taken

    def closing(self, business_day: int) -> Closing | None:
        """Find how a day was closed."""
        return self._closings.get(business_day)

    def closings_open(self) -> list[Closing]:
        """Read the closings that are not over."""
        over = (ClosingState.CLOSED, ClosingState.MADE_GOOD)
        return [self._closings[day] for day in sorted(self._closings) if self._closings[day].state not in over]

    def closings_of(self, states: Sequence[ClosingState], before_day: int, count: int) -> list[Closing]:
        """Read closings of some states, newest first, from before a day."""
        found = [self._closings[day] for day in sorted(self._closings, reverse=True) if day < before_day]
        return [closing for closing in found if closing.state in states][:count]

    def act(self, key: str) -> Act | None:
        """Find what was done under a key."""
        return self._acts.get(key)

    def enter_act(self, act: Act) -> None:
        """Record what somebody did."""
        self._acts[act.key] = act

    def enter_closing(self, closing: Closing) -> None:
        """Enter a closing, or how far it is."""
        self._closings[closing.business_day] = closing

    def enter_discrepancy(self, found: Discrepancy) -> None:
        """Enter an account for which a day does not add up, or the decision that made it good."""
        key = found.business_day, found.account_id, found.kind
        self._discrepancies[key] = self._discrepancies.get(key, found)._replace(decision=found.decision)

    def discrepancies(self, business_day: int, after_id: str, count: int) -> list[Discrepancy]:
        """Read a day's discrepancies in order, from after an account."""
        keys = sorted(key for key in self._discrepancies if key[0] == business_day and key[1] > after_id)
        return [self._discrepancies[key] for key in keys[:count]]

    def discrepancies_of(self, account_id: str, count: int) -> list[Discrepancy]:
        """Read an account's discrepancies, newest day first."""
        own = [one for one in self._discrepancies.values() if one.account_id == account_id]
        return sorted(own, key=lambda one: (-one.business_day, one.kind))[:count]

    def discrepancy_counts(self, business_day: int) -> list[DiscrepancyCount]:
        """Count a day's discrepancies by kind."""
        found = [one for one in self._discrepancies.values() if one.business_day == business_day]
        return [
            DiscrepancyCount(kind, len(own), sum(one.decision > 0 for one in own))
            for kind in DiscrepancyKind
            if (own := [one for one in found if one.kind is kind])
        ]
