"""Put a playbook in force without a person: what the brake and the dead man's switch have in common.

Promises the activation, its audit row and a critical alert in the transaction that the caller holds open.
"""

from service.domain.activation import ActivationChange, requested
from service.domain.mode import EVERYBODY
from service.domain.playbook import Playbook
from service.engine.ports.store import Store
from service.engine.safety import alerts


def enter(store: Store, playbook: Playbook, ttl_seconds: int, caller: str, why: str, what: str, now_us: int) -> str:
    """Activate for everybody, for at most the playbook's greatest time to live; gives the activation's title."""
    number = store.playbooks.next_number()
    activation = requested(
        number, playbook, {}, EVERYBODY, min(ttl_seconds, playbook.ttl_seconds_max), caller, why, "", now_us,
        is_break_glass=True, is_forced=True,
    )  # fmt: skip
    change = ActivationChange(0, f"{caller}/{number}", b"", "activate", number, caller, why, now_us)
    store.playbooks.write(activation, change)
    alerts.send(store.outbox, alerts.CRITICAL, what, now_us, activation=activation.title, why=why)
    return activation.title
