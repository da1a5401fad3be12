"""Orders of people and schedulers beside decisions, recorded with who gave them and why."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from service.domain.act import Act
from service.engine.control import Control
from service.engine.once import once
from service.engine.ports.store import ControlRow, Store


class Order(NamedTuple):
    """What somebody orders, and why; `business_day` in days since 1970-01-01, 0 where it is about messages."""

    action: str
    key: str
    fingerprint: bytes
    caller: str
    reason: str = ""
    business_day: int = 0


@contextmanager
def ordered(store: Store, control: Control, order: Order) -> Iterator[tuple[ControlRow, Act | None]]:
    """Open the transaction of an order, once for its key; what was not carried out before is recorded at the end.

    Gives the control row and, where it was, the record. Raises IdempotencyKeyReused.
    """
    with once(store, control, order, store.runs.act) as (row, known):
        yield row, known
        if known is None:
            enter(store, order, row.now_us)


def enter(store: Store, order: Order, now_us: int, touched: int = 0) -> None:
    """Record a new order, inside the transaction that carries it out; `touched` counts messages."""
    store.runs.enter_act(
        Act(
            order.key, order.fingerprint, order.action, order.caller, order.reason, order.business_day, touched, now_us,
        )
    )  # fmt: skip
