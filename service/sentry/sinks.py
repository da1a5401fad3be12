"""Where messages go: a signed webhook, a file of JSON lines, or a Kafka topic.

Promises that a message which `accept` answers with True has been taken: it may have been taken before, never not at
all. Each names the message by its id, so that receivers can tell duplicates apart.
"""

import hmac
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from service import private_file
from service.domain.watch import Message

TIMEOUT_SECONDS: Final = (2.0, 3.0)
"""Longest wait for a connection, and for an answer."""

log = structlog.get_logger("holdline.outbox")


class Sink(Protocol):
    """Takes messages one after the other, on one thread."""

    def accept(self, message: Message) -> bool: ...  # noqa: D102 - the module's docstring covers it.


def signature(secret: str, timestamp_s: int, body: str) -> str:
    """Give the value of Holdline-Signature: HMAC-SHA256 over "timestamp.body", as receivers compute it."""
    digest = hmac.new(secret.encode(), f"{timestamp_s}.{body}".encode(), sha256).hexdigest()
    return f"t={timestamp_s},v1={digest}"


class Webhook:
    """Posts a message, signed."""

    def __init__(self, url: str, secret: str, now_us: Callable[[], int]) -> None:
        self._url = url
        self._secret = secret
        self._now_us = now_us
        self._session: Any = None

    def accept(self, message: Message) -> bool:
        """Post it; anything but a 2xx is no receipt."""
        # Half a second to load, and most servers post nothing.
        import requests

        if self._session is None:
            self._session = requests.Session()
        now_s = self._now_us() // 1_000_000
        headers = {
            "Content-Type": "application/json",
            "Holdline-Message-Id": str(message.sequence),
            "Holdline-Severity": message.severity,
            "Holdline-Signature": signature(self._secret, now_s, message.body),
        }
        try:
            answer = self._session.post(
                self._url, data=message.body.encode(), headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            log.warning("not delivered", topic=message.topic, id=message.sequence, kind=type(error).__name__)
            return False
        # A redirection is no receipt; `answer.ok` would take it for one.
        is_accepted: bool = 200 <= answer.status_code < 300
        if not is_accepted:
            log.warning("not accepted", topic=message.topic, id=message.sequence, status=answer.status_code)
        return is_accepted


class LinesFile:
    """Appends a message as a line of JSON to a file of its owner's alone; it is on disk when it counts as taken."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def accept(self, message: Message) -> bool:
        """Append it and sync."""
        try:
            with open(self._path, "a", encoding="utf-8", opener=private_file.opener) as file:
                file.write(message.body + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.warning("not written", topic=message.topic, id=message.sequence, kind=type(error).__name__)
            return False
        return True


class Kafka:
    """Produces a message to a topic, keyed by account: one account's messages keep their order in its partition."""

    def __init__(self, configuration: dict[str, Any], topic: str) -> None:
        """Take librdkafka's configuration; the producer is made at the first message."""
        self._configuration = {**configuration, "enable.idempotence": True, "message.timeout.ms": 5_000}
        self._topic = topic
        self._producer: Any = None

    def accept(self, message: Message) -> bool:
        """Produce it and wait until the broker has it."""
        from confluent_kafka import KafkaException, Producer

        failures: list[object] = []
        try:
            if self._producer is None:
                self._producer = Producer(self._configuration)
            self._producer.produce(
                self._topic,
                message.body.encode(),
                message.account_id.encode(),
                headers={"holdline-message-id": str(message.sequence)},
                on_delivery=lambda error, _: failures.append(error) if error is not None else None,
            )
            left = self._producer.flush(sum(TIMEOUT_SECONDS) + 1)
        except (KafkaException, BufferError) as error:
            failures.append(error)
            left = 0
        if left or failures:
            log.warning("not produced", topic=message.topic, id=message.sequence, failures=len(failures), left=left)
        return not left and not failures
