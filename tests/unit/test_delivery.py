"""Alerts leave: to the log, to a signed webhook, again after failures, and once more rather than not at all."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from holdline.client import Client

from service.domain.watch import Message, MessageState
from service.local_server import running_server
from service.sentry.delivery import PAUSE_US_FIRST, PAUSE_US_MAX, Deliverer
from service.sentry.sinks import Webhook, signature
from tests.builders import NOW_US
from tests.proof.journal import wait_until

SECRET = "drum"


class Receiver:
    """A webhook on loopback that answers with the statuses it is given, then 204."""

    def __init__(self, statuses: tuple[int, ...]) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((dict(self.headers.items()), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so.
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts"


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    receiver = Receiver(statuses)
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join(5)
        receiver.server.server_close()


def _message(sequence: int = 7, attempts: int = 0) -> Message:
    body = json.dumps({"what": "test", "n": sequence})
    return Message(sequence, "alert", "critical", body, NOW_US, NOW_US, attempts, MessageState.WAITING)


def _deliverer(url: str, attempts_max: int = 12) -> Deliverer:
    sink = Webhook(url, SECRET, lambda: NOW_US) if url else None
    return Deliverer(sink, attempts_max, 64, lambda: NOW_US, is_logged=True)


def test_a_delivered_alert_is_signed_over_its_time_and_body_and_bears_its_id() -> None:
    with receiving() as receiver:
        outcome = _deliverer(receiver.url).deliver(_message())

    headers, body = receiver.received[0]
    stamp, _, seal = headers["Holdline-Signature"].partition(",v1=")
    expected = hmac.new(SECRET.encode(), f"{stamp.removeprefix('t=')}.".encode() + body, hashlib.sha256).hexdigest()
    assert outcome.state is MessageState.DELIVERED
    assert (headers["Holdline-Message-Id"], headers["Holdline-Severity"]) == ("7", "critical")
    assert hmac.compare_digest(seal, expected)
    assert json.loads(body) == {"what": "test", "n": 7}
    assert signature(SECRET, 1, "a") != signature(SECRET, 2, "a") != signature("other", 2, "a")


@pytest.mark.parametrize("status", [301, 400, 500, 503])
def test_a_receiver_that_doesnt_accept_gets_it_again_later(status: int) -> None:
    with receiving(status) as receiver:
        outcome = _deliverer(receiver.url).deliver(_message())

    assert (outcome.state, outcome.attempts, outcome.due_us) == (MessageState.WAITING, 1, NOW_US + PAUSE_US_FIRST)
    assert len(receiver.received) == 1


def test_pauses_grow_to_a_bound_and_then_it_is_given_up() -> None:
    deliverer = _deliverer("http://127.0.0.1:1/nobody")

    outcomes = [deliverer.deliver(_message(attempts=attempts)) for attempts in range(12)]
    pauses = [outcome.due_us - NOW_US for outcome in outcomes[:-1]]

    assert pauses[:4] == [PAUSE_US_FIRST * factor for factor in (1, 2, 4, 8)]
    assert pauses == sorted(pauses)
    assert max(pauses) == PAUSE_US_MAX
    assert outcomes[-1].state is MessageState.DEAD


def test_without_a_webhook_the_log_is_the_receiver() -> None:
    assert _deliverer("").deliver(_message()).state is MessageState.DELIVERED


def test_what_is_in_hand_is_not_taken_twice_and_is_free_again_once_settled() -> None:
    with receiving() as receiver:
        deliverer = _deliverer(receiver.url)
        deliverer.start()
        deliverer.take([_message(1), _message(2)])
        deliverer.take([_message(1), _message(2)])
        wait_until(lambda: len(receiver.received) >= 2, 10, "both were delivered")
        outcomes = []
        wait_until(lambda: len(outcomes.extend(deliverer.outcomes()) or outcomes) == 2, 10, "both are known")  # type: ignore[func-returns-value]  # extends, then gives.
        deliverer.settled(outcomes)
        deliverer.take([_message(1)])
        wait_until(lambda: len(receiver.received) == 3, 10, "delivered again")
        deliverer.stop()

    assert [outcome.sequence for outcome in outcomes] == [1, 2]
    assert [json.loads(body)["n"] for _, body in receiver.received] == [1, 2, 1]


def test_an_activation_on_a_live_server_reaches_the_webhook_though_it_fails_at_first(tmp_path: Path) -> None:
    with receiving(500) as receiver:
        flags = ("--set", f"alert_webhook={receiver.url}", "--set", f"alert_secret={SECRET}")
        with running_server(tmp_path, *flags) as server, Client(server.listen, caller="olga") as client:
            made = client.activate("freeze_raises", ttl_seconds=2, reason="a drill").activation
            wait_until(lambda: len(_told(receiver, "playbook_lapse")) > 0, 30, "the lapse was told")
            time.sleep(0.5)

    activated = _told(receiver, "playbook_activate")
    assert len(activated) == 2
    assert {one["activation"] for one in activated} == {f"{made.activation_id}@freeze_raises/v1"}
    assert activated[0]["by"] == "olga"
    assert len(_told(receiver, "playbook_lapse")) == 1


def _told(receiver: Receiver, what: str) -> list[dict[str, str]]:
    found = [json.loads(body) for _, body in list(receiver.received)]
    return [one for one in found if one["what"] == what]
