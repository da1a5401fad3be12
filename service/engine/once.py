"""Once for a key: how a write beside decisions uses its idempotency key, inside the transaction that writes.

Promises one space of keys (caller and request id) for the writes of every service: a key stands for one write,
whichever desk or batch made it first. The keys of decisions and postings are entered by the batch, in the same table.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from service.domain.errors import IdempotencyKeyReused
from service.engine.control import Control
from service.engine.execute import transaction
from service.engine.ports.store import ControlRow, Store


class Sealed(Protocol):
    """A record of a write that bears the fingerprint of its request."""

    @property
    def fingerprint(self) -> bytes:
        """16 bytes that stand for the request's meaning."""
        ...


class Keyed(Sealed, Protocol):
    """A request to write, with the key that it is to stand for."""

    @property
    def key(self) -> str:
        """The caller and its request id."""
        ...


Record = TypeVar("Record", bound=Sealed)
Find = Callable[[str], Record | None]
"""Finds what a desk has recorded under a key."""


@contextmanager
def once(
    store: Store, control: Control, order: Keyed, find: Find[Record]
) -> Iterator[tuple[ControlRow, Record | None]]:
    """Open the transaction of a write; gives its control row and, where the key was used before, what it stands for.

    A new key is entered. Raises IdempotencyKeyReused where it stands for another request, of this desk or any other.
    """
    with transaction(store, control) as row:
        yield row, taken(store, order, find, row.now_us)


def taken(store: Store, order: Keyed, find: Find[Record], now_us: int) -> Record | None:
    """Do the same inside an open transaction; a new key is entered, made at a time (microseconds UTC)."""
    found = recorded(store, order, find)
    if found is None:
        store.enter_key(order.key, now_us)
    return found


def recorded(store: Store, order: Keyed, find: Find[Record]) -> Record | None:
    """Read what a key stands for, and write nothing; raises IdempotencyKeyReused."""
    found = find(order.key)
    if found is None and not store.has_key(order.key):
        return None
    if found is None or found.fingerprint != order.fingerprint:
        raise IdempotencyKeyReused(request_id=order.key.partition("/")[2])
    return found
