"""The outbox as people look at it: what waits, what was told, what was given up and is to be told again."""

from collections.abc import Sequence
from typing import Final

from service.domain.errors import AccountNotFound
from service.domain.watch import Message, MessageState
from service.engine import acts
from service.engine.acts import Order
from service.engine.control import Control
from service.engine.once import once
from service.engine.ports.store import Store

RECORDS_MAX: Final = 1_000
"""So many decisions, and as many postings, of an account are looked at for notices."""


class OutboxDesk:
    """Reads the outbox, and redrives dead messages."""

    def __init__(self, store: Store, control: Control) -> None:
        self._store = store
        self._control = control

    def messages(self, topic: str, states: Sequence[MessageState], before: int, count: int) -> list[Message]:
        """Give a topic's messages of some states, newest first, from before a sequence."""
        return self._store.outbox.messages(topic, states, before, count)

    def of_account(self, account_id: str, states: Sequence[MessageState], before: int, count: int) -> list[Message]:
        """Give an account's notices of some states, newest first, from before a sequence; raises AccountNotFound."""
        if self._store.account(account_id) is None:
            raise AccountNotFound(account_id=account_id)
        decisions = self._store.account_decisions(account_id, 0, RECORDS_MAX)
        postings = self._store.account_postings(account_id, 0, RECORDS_MAX)
        numbers = [one.decision.number for one in decisions] + [one.posting.number for one in postings]
        found = self._store.outbox.of_records(numbers)
        return [one for one in reversed(found) if one.sequence < before and one.state in states][:count]

    def redrive(self, order: Order, sequences: Sequence[int]) -> tuple[int, bool]:
        """Let dead messages be told again, once for a key; gives how many there were, and whether that was before.

        Raises IdempotencyKeyReused or StoreUnavailable.
        """
        with once(self._store, self._control, order, self._store.runs.act) as (row, known):
            if known is not None:
                return known.touched, True
            redriven = self._store.outbox.redrive(sequences, row.now_us)
            acts.enter(self._store, order, row.now_us, redriven)
            return redriven, False
