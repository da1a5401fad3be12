"""Once for a key: what a write beside decisions does with its idempotency key, inside the transaction that writes.

Promises one space of keys (caller and request id) for the writes of every service: a key stands for one write,
whichever desk or batch made it first. The keys of decisions and postings are entered by the batch, in the same table.
"""

from typing import Protocol, TypeVar

from service.domain.errors import IdempotencyKeyReused
from service.engine.ports.store import Store


class Sealed(Protocol):
    """A record of a write that bears the fingerprint of its request."""

    @property
    def fingerprint(self) -> bytes:
        """16 bytes that stand for the request's meaning."""
        ...


Record = TypeVar("Record", bound=Sealed)


def recorded(store: Store, key: str, fingerprint: bytes, found: Record | None) -> Record | None:
    """Give what a key stands for: `found`, as a desk has recorded it, or nothing where the key is new.

    Raises IdempotencyKeyReused where it stands for another request, of this desk or of any other service.
    """
    if found is None and not store.has_key(key):
        return None
    if found is None or found.fingerprint != fingerprint:
        raise IdempotencyKeyReused(request_id=key.partition("/")[2])
    return found
