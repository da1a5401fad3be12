"""NotificationService: a look at notices and alerts on their way out, and dead ones sent again.

Promises the four moves of an adapter: check, build, call, assemble.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final

from holdline.v1 import notification_service_pb2 as pb

from service.domain import notice
from service.domain.book import key_of
from service.domain.errors import Violation
from service.domain.watch import Message, MessageState
from service.engine.acts import Order
from service.engine.desks.outbox import OutboxDesk
from service.engine.ports.codec import Call
from service.engine.ports.store import NUMBER_MAX
from service.engine.safety import alerts
from service.rpc import commands, fields, pages
from service.rpc.methods import NOTIFICATIONS

LIST_ALERTS: Final = f"{NOTIFICATIONS}ListAlerts"
LIST_NOTICES: Final = f"{NOTIFICATIONS}ListNotices"

_STATES: Final[dict[int, MessageState]] = {
    pb.MESSAGE_STATE_WAITING: MessageState.WAITING,
    pb.MESSAGE_STATE_DELIVERED: MessageState.DELIVERED,
    pb.MESSAGE_STATE_DEAD: MessageState.DEAD,
}
_STATE_NUMBERS: Final = {state: pb.MessageState.ValueType(number) for number, state in _STATES.items()}
_SEVERITIES: Final = {
    alerts.INFO: pb.ALERT_SEVERITY_INFO,
    alerts.WARNING: pb.ALERT_SEVERITY_WARNING,
    alerts.CRITICAL: pb.ALERT_SEVERITY_CRITICAL,
}


class NotificationCalls:
    """The calls of NotificationService, in bytes."""

    def __init__(self, desk: OutboxDesk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            LIST_NOTICES: self._notices,
            LIST_ALERTS: self._alerts,
            f"{NOTIFICATIONS}RedriveMessages": self._redrive,
        }

    def _notices(self, call: Call) -> bytes:
        request = pb.ListNoticesRequest.FromString(call.body)
        wrong = fields.account_id_violations(request.account_id) if request.account_id else []
        states = pages.chosen("states", request.states, _STATES, wrong)
        filters = request.account_id, states
        page = pages.page_of(LIST_NOTICES, filters, request.page_size, request.page_token, wrong)
        before = page.before or NUMBER_MAX
        if request.account_id:
            found = self._desk.of_account(request.account_id, states, before, page.size)
        else:
            found = self._desk.messages(notice.TOPIC, states, before, page.size)
        shown = pages.fitting(map(_notice, found), pb.Notice.ByteSize)
        is_cut = pages.has_more(shown, found, page.size)
        token = pages.token(LIST_NOTICES, filters, shown[-1].message_id) if is_cut else ""
        return pb.ListNoticesResponse(notices=shown, next_page_token=token).SerializeToString()

    def _alerts(self, call: Call) -> bytes:
        request = pb.ListAlertsRequest.FromString(call.body)
        wrong: list[Violation] = []
        states = pages.chosen("states", request.states, _STATES, wrong)
        page = pages.page_of(LIST_ALERTS, states, request.page_size, request.page_token, wrong)
        found = self._desk.messages(alerts.TOPIC, states, page.before or NUMBER_MAX, page.size)
        shown = pages.fitting(map(_alert, found), pb.Alert.ByteSize)
        is_cut = pages.has_more(shown, found, page.size)
        token = pages.token(LIST_ALERTS, states, shown[-1].message_id) if is_cut else ""
        return pb.ListAlertsResponse(alerts=shown, next_page_token=token).SerializeToString()

    def _redrive(self, call: Call) -> bytes:
        request = pb.RedriveMessagesRequest.FromString(call.body)
        violations = [
            *fields.request_id_violations(request.request_id),
            *fields.reason_violations(request.reason),
            *_message_ids_violations(request.message_ids),
        ]
        fields.refuse(violations)
        # Numbers beyond the store's name nothing there.
        numbers = sorted({min(int(name, 16), NUMBER_MAX) for name in request.message_ids})
        seal = commands.fingerprint("redrive", numbers, request.reason)
        order = Order("redrive", key_of(call.caller, request.request_id), seal, call.caller, request.reason)
        redriven, replayed = self._desk.redrive(order, numbers)
        return pb.RedriveMessagesResponse(redriven=redriven, replayed=replayed).SerializeToString()


def _message_ids_violations(names: Sequence[str]) -> list[Violation]:
    if not 1 <= len(names) <= fields.BATCH_ITEMS_MAX:
        return [Violation("message_ids", f"{len(names)} items; send 1 to {fields.BATCH_ITEMS_MAX}")]
    return [
        Violation(f"message_ids[{place}]", "send the 16 hexadecimal digits of the message")
        for place, name in enumerate(names) if not fields.is_decision_id(name)
    ]  # fmt: skip


def _notice(one: Message) -> pb.Notice:
    return pb.Notice(
        message_id=f"{one.sequence:016x}",
        kind=one.body,
        account_id=one.account_id,
        record_id=f"{one.record:016x}",
        state=_STATE_NUMBERS[one.state],
        attempts=one.attempts,
        created_at=pages.timestamp(one.created_us),
        due_at=pages.timestamp(one.due_us),
    )


def _alert(one: Message) -> pb.Alert:
    body = json.loads(one.body)
    kind = str(body.pop("what"))
    return pb.Alert(
        message_id=f"{one.sequence:016x}",
        kind=kind,
        severity=_SEVERITIES[one.severity],
        facts=[pb.AlertFact(name=name, value=str(value)) for name, value in body.items()],
        state=_STATE_NUMBERS[one.state],
        attempts=one.attempts,
        created_at=pages.timestamp(one.created_us),
        due_at=pages.timestamp(one.due_us),
    )
