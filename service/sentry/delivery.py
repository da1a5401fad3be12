"""Take alerts out of the outbox: to the log, and to a signed webhook where one is configured.

Promises at-least-once delivery with the message's sequence as its id, growing pauses, and an end after so many
attempts. A thread of its own waits for slow receivers; the engine writes down what became of each message.
"""

import hmac
import queue
import threading
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

import structlog

from service.domain.watch import Message, MessageState
from service.engine.reports import Delivery

TIMEOUT_SECONDS: Final = (2.0, 3.0)
"""Longest wait for a connection, and for an answer."""
PAUSE_US_FIRST: Final = 1_000_000
PAUSE_US_MAX: Final = 300_000_000
IN_HAND_MAX: Final = 64

log = structlog.get_logger("holdline.alerts")


def signature(secret: str, timestamp_s: int, body: str) -> str:
    """Give the value of Holdline-Signature: HMAC-SHA256 over "timestamp.body", as receivers compute it."""
    digest = hmac.new(secret.encode(), f"{timestamp_s}.{body}".encode(), sha256).hexdigest()
    return f"t={timestamp_s},v1={digest}"


class Deliverer:
    """Delivers messages one after the other, in their order."""

    def __init__(self, url: str, secret: str, attempts_max: int, now_us: Callable[[], int]) -> None:
        self._url = url
        self._secret = secret
        self._attempts_max = attempts_max
        self._now_us = now_us
        self._waiting: queue.Queue[Message | None] = queue.Queue(IN_HAND_MAX)
        self._done: queue.Queue[Delivery] = queue.Queue()
        self._in_hand: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="deliverer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End after the message in hand."""
        self._waiting.put(None)
        self._thread.join(sum(TIMEOUT_SECONDS) + 1)

    def take(self, messages: Iterable[Message]) -> None:
        """Take messages to deliver; those in hand already, or too many, are left for the next time."""
        for message in messages:
            if message.sequence in self._in_hand or len(self._in_hand) >= IN_HAND_MAX:
                continue
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
        while (message := self._waiting.get()) is not None:
            self._done.put(self.deliver(message))

    def deliver(self, message: Message) -> Delivery:
        """Deliver one message and give what became of it."""
        attempts = message.attempts + 1
        if attempts == 1:
            log.warning("alert", id=message.sequence, severity=message.severity, body=message.body)
        if not self._url or self._post(message):
            return Delivery(message.sequence, message.due_us, attempts, MessageState.DELIVERED)
        if attempts >= self._attempts_max:
            log.error("alert given up", id=message.sequence, attempts=attempts)
            return Delivery(message.sequence, message.due_us, attempts, MessageState.DEAD)
        pause_us = min(PAUSE_US_FIRST << min(attempts - 1, 20), PAUSE_US_MAX)
        return Delivery(message.sequence, self._now_us() + pause_us, attempts, MessageState.WAITING)

    def _post(self, message: Message) -> bool:
        # Half a second to load, and most servers post nothing.
        import requests

        now_s = self._now_us() // 1_000_000
        headers = {
            "Content-Type": "application/json",
            "Holdline-Message-Id": str(message.sequence),
            "Holdline-Severity": message.severity,
            "Holdline-Signature": signature(self._secret, now_s, message.body),
        }
        try:
            answer = requests.post(
                self._url, data=message.body.encode(), headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            log.warning("alert not delivered", id=message.sequence, kind=type(error).__name__)
            return False
        # A redirection is no receipt; `answer.ok` would take it for one.
        is_accepted = 200 <= answer.status_code < 300
        if not is_accepted:
            log.warning("alert not accepted", id=message.sequence, status=answer.status_code)
        return is_accepted
