"""The outbox in memory, by the same rules as the durable stores."""

from collections.abc import Sequence
from copy import copy

from service.domain.notice import TEMPORARY_ENDS, TOPIC, Notice
from service.domain.watch import Message, MessageState

WAITING = MessageState.WAITING


class MemoryOutbox:
    """A plain dictionary; `snapshot` and `restore` make it part of the store's transaction."""

    def __init__(self) -> None:
        self._messages: dict[int, Message] = {}
        self._last = 0

    def snapshot(self) -> dict[str, object]:
        """Give what `restore` needs."""
        return {name: copy(value) for name, value in vars(self).items()}

    def restore(self, snapshot: dict[str, object]) -> None:
        """Go back to a snapshot."""
        vars(self).update(snapshot)

    def _enter(self, topic: str, severity: str, body: str, made_us: int, due_us: int, about: tuple[str, int]) -> None:
        self._last += 1
        self._messages[self._last] = Message(self._last, topic, severity, body, made_us, due_us, 0, WAITING, *about)

    def send(self, topic: str, severity: str, body: str, now_us: int) -> None:
        """Put a message in the outbox."""
        self._enter(topic, severity, body, now_us, now_us, ("", 0))

    def tell(self, notices: Sequence[Notice], withdrawn: set[str], now_us: int) -> None:
        """Put notices in the outbox, after taking back the announced ends of some accounts' temporary raises."""
        taken_back = [
            one.sequence
            for one in self._messages.values()
            if one.account_id in withdrawn and one.body == TEMPORARY_ENDS and one.state is WAITING
        ]
        for sequence in taken_back:
            del self._messages[sequence]
        for one in notices:
            self._enter(TOPIC, "info", one.kind, now_us, one.due_us, (one.account_id, one.record))

    def due(self, topic: str, now_us: int, count: int) -> list[Message]:
        """Read messages of a topic that are due, in order; none of an account one of whose earlier ones failed."""
        waiting = [one for one in self._messages.values() if one.state is WAITING]
        failing = [one for one in waiting if one.attempts and one.account_id]
        due = [
            one
            for one in waiting
            if one.topic == topic
            and one.due_us <= now_us
            and not any(bad.account_id == one.account_id and bad.sequence < one.sequence for bad in failing)
        ]
        return sorted(due, key=lambda one: (one.due_us, one.sequence))[:count]

    def messages(self, topic: str, states: Sequence[MessageState], before: int, count: int) -> list[Message]:
        """Read a topic's messages of some states, newest first, from before a sequence."""
        earlier = (one for one in reversed(self._messages.values()) if one.sequence < before)
        return [one for one in earlier if one.state in states and one.topic == topic][:count]

    def of_records(self, numbers: Sequence[int]) -> list[Message]:
        """Read the messages about some decisions and postings, oldest first."""
        return [one for one in self._messages.values() if one.record in set(numbers)]

    def update(self, sequence: int, due_us: int, attempts: int, state: MessageState) -> None:
        """Note what became of a message."""
        if sequence in self._messages:
            message = self._messages[sequence]
            self._messages[sequence] = message._replace(due_us=due_us, attempts=attempts, state=state)

    def redrive(self, sequences: Sequence[int], now_us: int) -> int:
        """Let messages that were given up be told again; gives how many there were."""
        found = [
            self._messages[number]
            for number in sequences
            if number in self._messages and self._messages[number].state is MessageState.DEAD
        ]
        for one in found:
            self._messages[one.sequence] = one._replace(due_us=now_us, attempts=0, state=WAITING)
        return len(found)

    def purge(self, states: Sequence[MessageState], before_us: int, after: int, count: int) -> int:
        """Forget messages of some states that were made before a time, among the next `count` after a sequence.

        Gives the sequence to go on from, or 0 where what follows is young or nothing does.
        """
        found = [one for one in self._messages.values() if one.sequence > after][:count]
        for one in found:
            if one.created_us < before_us and one.state in states:
                del self._messages[one.sequence]
        return found[-1].sequence if len(found) == count and found[-1].created_us < before_us else 0
