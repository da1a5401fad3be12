"""The portfolio's budget: what a product's limits may be raised by on one business day, all accounts together.

Promises that no raise exceeds it, on however many engines: each takes a slice of what nobody has taken, in the
transaction that spends from it, and at most one slice an engine is left unused. What a person grants counts, too, and
may use more than is left; then nothing is.
"""

from typing import Final

from service.domain.account import UNBOUNDED
from service.domain.daily_run import Slice
from service.domain.entitlement import Entitlement
from service.domain.policy import Policy
from service.engine.ports import RunStore

SLICES: Final = 64
"""So many slices a budget has; at least one raise fits in each."""
HOLDER: Final = "sole"
"""The one engine of an embedded store: it finds its slice again after a restart."""


class Purse:
    """The slices of one transaction."""

    def __init__(self, store: RunStore, holder: str = HOLDER) -> None:
        self._store = store
        self._holder = holder
        self._slices: dict[tuple[str, int], Slice] = {}
        self._changed: set[tuple[str, int]] = set()

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
            others = sum(taken.taken_minor for taken in self._store.slices(*key) if taken.holder != self._holder)
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
