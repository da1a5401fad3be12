"""The portfolio's budget: what a product's limits may be raised by on one business day, all accounts together.

Promises that no raise exceeds it, on however many engines: each takes a slice of what nobody has taken, in the
transaction that spends from it, and at most one slice an engine is left unused. What a person grants counts, too, and
may use more than is left; then nothing is.
"""

from typing import Final

from service.domain.account import DAYS_BACK_MAX, UNBOUNDED
from service.domain.daily_run import Slice
from service.domain.entitlement import Entitlement
from service.domain.policy import Policy
from service.engine.ports.runs import RunStore

SLICES: Final = 64
"""So many slices a budget has; at least one raise fits in each."""
HOLDER: Final = "sole"
"""The one engine of an embedded store: it finds its slice again after a restart."""
SET_ASIDE: Final = "aside"
"""Holds what a day's budget does not give because later days were decided before it (ADR 19)."""


class Purse:
    """The slices of one transaction."""

    def __init__(self, store: RunStore, holder: str = HOLDER) -> None:
        self._store = store
        self._holder = holder
        self._slices: dict[tuple[str, int], Slice] = {}
        self._changed: set[tuple[str, int]] = set()
        self._aside: dict[tuple[str, int], Slice] = {}
        self._is_spent: dict[tuple[str, int], bool] = {}

    def is_spent_by_later(self, policy: Policy, business_day: int) -> bool:
        """Claim that a day's budget can't be given out any more as the days in order would have.

        That is where later days gave of theirs, and earlier ones had left somebody short: who would have come first on
        the day is not known then. A product without a budget has none to be spent.
        """
        if policy.caps.portfolio_per_day_minor is None:
            return False
        key = policy.product, business_day
        found = self._is_spent.get(key)
        if found is None:
            before = self._store.budget_days(policy.product, business_day - DAYS_BACK_MAX, business_day - 1)
            is_short = any(taken.holder == SET_ASIDE for _, taken in before)
            found = self._is_spent[key] = is_short and given_after(self._store, policy.product, business_day)
        return found

    def set_aside(self, product: str, business_day: int, amount_minor: int) -> None:
        """Keep out of a day's budget what the days in order would have given and is not given: nobody else gets it.

        It comes out of the slice that had room for it.
        """
        key = product, business_day
        own = self._slices[key]
        self._slices[key] = own._replace(taken_minor=own.taken_minor - amount_minor)
        self._changed.add(key)
        aside = self._aside_of(key)
        self._aside[key] = aside._replace(taken_minor=aside.taken_minor + amount_minor)

    def _aside_of(self, key: tuple[str, int]) -> Slice:
        """Give what was set aside of a day's budget, in this transaction or before."""
        if key in self._aside:
            return self._aside[key]
        return next((taken for taken in self._store.slices(*key) if taken.holder == SET_ASIDE), Slice(SET_ASIDE, 0, 0))

    def room(self, policy: Policy, business_day: int) -> int:
        """Give what may be raised now under the policy's budget, in minor units; UNBOUNDED where it has none."""
        bound = policy.caps.portfolio_per_day_minor
        if bound is None:
            return UNBOUNDED
        key = policy.product, business_day
        own = self._slices.get(key)
        if own is None:
            found = {taken.holder: taken for taken in self._store.slices(*key)}
            own = self._slices[key] = found.get(self._holder, Slice(self._holder, 0, 0))
        left = own.taken_minor - own.raised_minor
        need = policy.caps.per_decision.bound
        if left < need:
            own_or_aside = self._holder, SET_ASIDE
            others = sum(taken.taken_minor for taken in self._store.slices(*key) if taken.holder not in own_or_aside)
            others += self._aside_of(key).taken_minor
            more = min(max(bound // SLICES, need), bound - others - own.taken_minor)
            if more > 0:
                self._slices[key] = own._replace(taken_minor=own.taken_minor + more)
                self._changed.add(key)
                left += more
        return max(left, 0)

    def spend(self, policy: Policy, business_day: int, raised_minor: int) -> None:
        """Take a raise out of the slice, which grows where a person's word takes more than it holds."""
        key = policy.product, business_day
        own = self._slices[key]
        raised_minor += own.raised_minor
        self._slices[key] = own._replace(raised_minor=raised_minor, taken_minor=max(own.taken_minor, raised_minor))
        self._changed.add(key)

    def in_turn(self, entitlement: Entitlement) -> Entitlement:
        """Let a withheld entitlement keep its place: it waits since the first day in a row that it was withheld."""
        before = self._store.entitlements(entitlement.account_id, entitlement.business_day, 1)
        if before and before[0].waiting_since:
            return entitlement._replace(waiting_since=before[0].waiting_since)
        return entitlement

    def write(self) -> None:
        """Write down what was taken and spent."""
        for product, business_day in self._changed:
            self._store.enter_slice(product, business_day, self._slices[product, business_day])
        for (product, business_day), aside in self._aside.items():
            self._store.enter_slice(product, business_day, aside)


def given_after(store: RunStore, product: str, business_day: int) -> bool:
    """Claim that something of the budgets of later days was given."""
    later = store.budget_days(product, business_day + 1, business_day + DAYS_BACK_MAX)
    return any(taken.raised_minor for _, taken in later)
