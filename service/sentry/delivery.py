"""Take messages out of the outbox: alerts to the log and a webhook, notices to wherever customers are told from.

Promises at-least-once delivery with the message's sequence as its id, growing pauses, an end after so many attempts,
and that a notice waits while an earlier one of its account fails. A thread of its own waits for slow receivers; the
engine writes down what became of each message.
"""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from service.domain.watch import Message, MessageState
from service.engine.desks.reports import Delivery
from service.sentry.sinks import TIMEOUT_SECONDS, Sink

PAUSE_US_FIRST: Final = 1_000_000
PAUSE_US_MAX: Final = 300_000_000
STOP_SECONDS: Final = sum(TIMEOUT_SECONDS) + 2

log = structlog.get_logger("holdline.outbox")


class Deliverer:
    """Delivers one topic's messages, one after the other."""

    def __init__(
        self, sink: Sink | None, attempts_max: int, in_hand_max: int, now_us: Callable[[], int], *, is_logged: bool
    ) -> None:
        """Deliver to a sink; without one the log is the receiver, and `is_logged` must be."""
        self._sink = sink
        self._attempts_max = attempts_max
        self.in_hand_max = in_hand_max
        self._now_us = now_us
        self._is_logged = is_logged
        self._waiting: queue.Queue[Message | None] = queue.Queue()
        self._done: queue.Queue[Delivery] = queue.Queue()
        self._in_hand: set[int] = set()
        self._failing: dict[str, int] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliverer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End after the message in hand."""
        self._is_over.set()
        self._waiting.put(None)
        self._thread.join(STOP_SECONDS)

    def room(self) -> int:
        """Give how many more messages may be taken."""
        return self.in_hand_max - len(self._in_hand)

    def wanted(self, messages: Iterable[Message]) -> list[Message]:
        """Give the messages that are not in hand, as many as there is room for."""
        return [message for message in messages if message.sequence not in self._in_hand][: self.room()]

    def take(self, messages: Iterable[Message]) -> None:
        """Take messages to deliver, whose bodies are what receivers get."""
        for message in self.wanted(messages):
            self._in_hand.add(message.sequence)
            self._waiting.put_nowait(message)

    def outcomes(self) -> list[Delivery]:
        """Give what became of messages; they count as in hand until `settled`."""
        found = []
        while not self._done.empty():
            found.append(self._done.get_nowait())
        return found

    def settled(self, outcomes: Iterable[Delivery]) -> None:
        """Take note that outcomes were written down."""
        self._in_hand -= {outcome.sequence for outcome in outcomes}

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None and not self._is_over.is_set():
            self._done.put(self.deliver(message))

    def deliver(self, message: Message) -> Delivery:
        """Deliver one message and give what became of it."""
        first_failed = self._failing.get(message.account_id)
        if first_failed is not None and first_failed < message.sequence:
            # It was taken beside one that failed since; it comes again after that one.
            return Delivery(message.sequence, message.due_us, message.attempts, MessageState.WAITING)
        attempts = message.attempts + 1
        if attempts == 1 and self._is_logged:
            log.warning("alert", id=message.sequence, severity=message.severity, body=message.body)
        if self._sink is None or self._sink.accept(message):
            self._failing.pop(message.account_id, None)
            return Delivery(message.sequence, message.due_us, attempts, MessageState.DELIVERED)
        if attempts >= self._attempts_max:
            log.error("given up", topic=message.topic, id=message.sequence, attempts=attempts)
            self._failing.pop(message.account_id, None)
            return Delivery(message.sequence, message.due_us, attempts, MessageState.DEAD)
        if message.account_id:
            self._failing[message.account_id] = message.sequence
        pause_us = min(PAUSE_US_FIRST << min(attempts - 1, 20), PAUSE_US_MAX)
        return Delivery(message.sequence, self._now_us() + pause_us, attempts, MessageState.WAITING)
