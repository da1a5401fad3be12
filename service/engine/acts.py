"""Orders of people and schedulers beside decisions, recorded with who gave them and why."""

from typing import NamedTuple

from service.domain.act import Act
from service.engine.ports.store import Store


class Order(NamedTuple):
    """What somebody orders, and why; `business_day` in days since 1970-01-01, 0 where it is about messages."""

    action: str
    key: str
    fingerprint: bytes
    caller: str
    reason: str = ""
    business_day: int = 0


def enter(store: Store, order: Order, now_us: int, touched: int = 0) -> None:
    """Record a new order, inside the transaction that carries it out; `touched` counts messages."""
    store.runs.enter_act(
        Act(
            order.key, order.fingerprint, order.action, order.caller, order.reason, order.business_day, touched, now_us,
        )
    )  # fmt: skip
