"""Operations: daily runs, closings and what makes days good, read and stopped in one form."""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from service.domain.daily_run import ClosingReport, ClosingState, RunReport, RunState
from service.domain.errors import RunNotFound
from service.domain.operation import (
    Operation,
    OperationKind,
    OperationNotCancellable,
    OperationNotFound,
    OperationState,
    of_closing,
    of_run,
)
from service.engine import once
from service.engine.acts import Order
from service.engine.desks.run_orders import RunOrders
from service.engine.ports.store import Store

PAGE: Final = 50
"""So many days are read at a time."""
_RUN_STATES: Final = {
    RunState.RUNNING: {OperationState.WAITING, OperationState.RUNNING},
    RunState.DONE: {OperationState.DONE},
    RunState.CANCELLED: {OperationState.CANCELLED},
}
Report = TypeVar("Report", RunReport, ClosingReport)


class Place(NamedTuple):
    """Where an operation stands among all, in their order backwards."""

    business_day: int
    kind: int


class OperationDesk:
    """Tells of operations of one store, and stops them."""

    def __init__(self, store: Store, runs: RunOrders) -> None:
        self._store = store
        self._runs = runs

    def operation(self, name: str, kind: OperationKind, business_day: int) -> Operation:
        """Read an operation, which `name` is the caller's name of; raises OperationNotFound."""
        try:
            if kind is OperationKind.DAILY_RUN:
                return of_run(self._runs.report(business_day))
            for found in of_closing(self._runs.closing(business_day, "", 0)):
                if found.kind is kind:
                    return found
        except RunNotFound as error:
            raise OperationNotFound(operation_id=name) from error
        raise OperationNotFound(operation_id=name)

    def operations(
        self, kinds: Sequence[OperationKind], states: Sequence[OperationState], before: Place, count: int
    ) -> list[Operation]:
        """Give operations of some kinds and states, newest day first, from before a place."""
        below_day = before.business_day + 1
        sources: list[Iterator[Operation]] = []
        if OperationKind.DAILY_RUN in kinds:
            wanted = [state for state, seen in _RUN_STATES.items() if seen & set(states)]
            sources.append(map(of_run, _walked(self._runs.reports, wanted, below_day) if wanted else iter(())))
        if {OperationKind.CLOSING, OperationKind.MAKE_GOOD} & set(kinds):
            closings = _walked(self._runs.closings, tuple(ClosingState), below_day)
            sources.append(found for report in closings for found in of_closing(report))
        ordered = merge(*sources, key=lambda found: (-found.business_day, -found.kind))
        fitting = (found for found in ordered if found.kind in kinds and found.state in states)
        return list(islice((found for found in fitting if (found.business_day, found.kind) < before), count))

    def cancel(self, name: str, kind: OperationKind, order: Order) -> tuple[Operation, bool]:
        """Stop an operation, once for a key; gives it as it stands, and whether it had been ordered before.

        Raises OperationNotFound, OperationNotCancellable or IdempotencyKeyReused.
        """
        if kind is not OperationKind.DAILY_RUN:
            once.recorded(self._store, order, self._store.runs.act)
            self.operation(name, kind, order.business_day)
            raise OperationNotCancellable(operation_id=name)
        try:
            report, replayed = self._runs.cancel(order)
        except RunNotFound as error:
            raise OperationNotFound(operation_id=name) from error
        return of_run(report), replayed


State = TypeVar("State", RunState, ClosingState)


def _walked(
    read: Callable[[Sequence[State], int, int], list[Report]], states: Sequence[State], below_day: int
) -> Iterator[Report]:
    """Read reports newest day first, from below a day on, as far as they are asked for."""
    while True:
        found = read(states, below_day, PAGE)
        yield from found
        if len(found) < PAGE:
            return
        below_day = found[-1][0].business_day
