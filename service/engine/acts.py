"""Orders of people and schedulers beside decisions: taken once for a key, with the record of who gave them and why.

Promises that an order, its key and what it changes commit in one transaction, the caller's, and that a repetition
changes nothing, whatever was ordered since.
"""

from typing import NamedTuple

from service.domain.act import Act
from service.engine import once
from service.engine.ports.store import Store


class Order(NamedTuple):
    """What somebody orders, and why; `business_day` in days since 1970-01-01, 0 where it is about messages."""

    action: str
    key: str
    fingerprint: bytes
    caller: str
    reason: str = ""
    business_day: int = 0


def recorded(store: Store, order: Order) -> Act | None:
    """Give what an order's key stands for, nothing where it is new; raises IdempotencyKeyReused."""
    return once.recorded(store, order.key, order.fingerprint, store.runs.act(order.key))


def enter(store: Store, order: Order, now_us: int, touched: int = 0) -> None:
    """Record a new order, inside the transaction that carries it out; `touched` counts messages."""
    store.enter_key(order.key, now_us)
    store.runs.enter_act(
        Act(
            order.key, order.fingerprint, order.action, order.caller, order.reason, order.business_day, touched, now_us,
        )
    )  # fmt: skip
