"""The outbox in SQLite: alerts and notices that wait to be told, and what became of them.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Sequence
from typing import Final

from service.domain.notice import TOPIC, Notice
from service.domain.watch import Message, MessageState
from service.storage.sqlite.forms import Form, number_of
from service.storage.sqlite.sql import STATEMENTS, Execute, ExecuteMany, numbers_of

MESSAGES: Final = Form(Message, {"state": number_of(MessageState)}, reads="messages_due messages messages_of")


class SqliteOutbox:
    """The statements of the table `outbox`."""

    def __init__(self, run: Execute, run_many: ExecuteMany) -> None:
        self._run = run
        self._run_many = run_many

    def send(self, topic: str, severity: str, body: str, now_us: int) -> None:
        """Put a message in the outbox."""
        self._run(STATEMENTS["insert_message"], (topic, severity, body, now_us, now_us, 0, 0, "", 0))

    def tell(self, notices: Sequence[Notice], withdrawn: set[str], now_us: int) -> None:
        """Put notices in the outbox, after taking back the announced ends of some accounts' temporary raises."""
        if withdrawn:
            self._run_many("withdraw_endings", [(name,) for name in withdrawn])
        if notices:
            rows = [(TOPIC, "info", one.kind, now_us, one.due_us, 0, 0, one.account_id, one.record) for one in notices]
            self._run_many("insert_message", rows)

    def due(self, topic: str, now_us: int, count: int) -> list[Message]:
        """Read messages of a topic that are due, in order; none of an account one of whose earlier ones failed."""
        return MESSAGES.records(self._run(STATEMENTS["messages_due"], (topic, now_us, count)))

    def messages(self, topic: str, states: Sequence[MessageState], before: int, count: int) -> list[Message]:
        """Read a topic's messages of some states, newest first, from before a sequence."""
        found = self._run(STATEMENTS["messages"], (topic, numbers_of(states), before, count))
        return MESSAGES.records(found)

    def of_records(self, numbers: Sequence[int]) -> list[Message]:
        """Read the messages about some decisions and postings, oldest first."""
        if not numbers:
            # An array of none can't be bound.
            return []
        return MESSAGES.records(self._run(STATEMENTS["messages_of"], (numbers_of(numbers),)))

    def update(self, sequence: int, due_us: int, attempts: int, state: MessageState) -> None:
        """Note what became of a message."""
        self._run(STATEMENTS["update_message"], (due_us, attempts, int(state), sequence))

    def redrive(self, sequences: Sequence[int], now_us: int) -> int:
        """Let messages that were given up be told again; gives how many there were."""
        found = self._run(STATEMENTS["redrive"], (now_us, numbers_of(sequences))) if sequences else []
        return len(found)

    def purge(self, states: Sequence[MessageState], before_us: int, after: int, count: int) -> int:
        """Forget messages of some states that were made before a time, among the next `count` after a sequence.

        Gives the sequence to go on from, or 0 where what follows is young or nothing does.
        """
        found = self._run(STATEMENTS["messages_slice"], (after, count))
        old = [(sequence,) for sequence, created_us, state in found if created_us < before_us and state in states]
        if old:
            self._run_many("delete_message", old)
        return int(found[-1][0]) if len(found) == count and found[-1][1] < before_us else 0
