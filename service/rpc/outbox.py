"""NotificationService: a look at messages on their way out, and dead ones sent again.

Promises the four moves of an adapter: check, build, call, assemble.
"""

import json
from collections.abc import Callable
from typing import Final

from holdline.v1 import notification_service_pb2 as pb

from service.domain import notice
from service.domain.errors import Violation
from service.domain.watch import Message, MessageState
from service.engine import alerts
from service.engine.outbox_desk import OutboxDesk
from service.engine.ports import NUMBER_MAX, Call
from service.rpc import pages, validation

_TOPICS: Final = {
    pb.MESSAGE_TOPIC_UNSPECIFIED: notice.TOPIC,
    pb.MESSAGE_TOPIC_NOTICE: notice.TOPIC,
    pb.MESSAGE_TOPIC_ALERT: alerts.TOPIC,
}
_STATES: Final = {
    pb.MESSAGE_STATE_UNSPECIFIED: MessageState.WAITING,
    pb.MESSAGE_STATE_WAITING: MessageState.WAITING,
    pb.MESSAGE_STATE_DELIVERED: MessageState.DELIVERED,
    pb.MESSAGE_STATE_DEAD: MessageState.DEAD,
}
_TOPIC_NUMBERS: Final = {topic: number for number, topic in _TOPICS.items()}
_STATE_NUMBERS: Final = {state: number for number, state in _STATES.items()}


class OutboxCalls:
    """The calls of NotificationService, in bytes."""

    def __init__(self, desk: OutboxDesk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            "ListMessages": self._list,
            "RedriveMessages": self._redrive,
        }

    def _list(self, call: Call) -> bytes:
        request = pb.ListMessagesRequest.FromString(call.body)
        violations = validation.account_id_violations(request.account_id) if request.account_id else []
        if request.topic not in _TOPICS:
            violations.append(Violation("topic", f"{request.topic} is no topic"))
        if request.state not in _STATES:
            violations.append(Violation("state", f"{request.state} is no state"))
        page = pages.asked(request.page_size, request.page_token, violations)
        before = page.before or NUMBER_MAX
        if request.account_id:
            found = self._desk.of_account(request.account_id, before, page.size)
        else:
            found = self._desk.messages(_TOPICS[request.topic], _STATES[request.state], before, page.size)
        shown = pages.fitting(map(_message, found), pb.OutboxMessage.ByteSize)
        is_cut = len(shown) < len(found) or len(found) == page.size
        return pb.ListMessagesResponse(
            messages=shown, next_page_token=shown[-1].message_id if is_cut else ""
        ).SerializeToString()

    def _redrive(self, call: Call) -> bytes:
        request = pb.RedriveMessagesRequest.FromString(call.body)
        violations = [
            Violation(f"message_ids[{place}]", "send the 16 hexadecimal digits of the message")
            for place, name in enumerate(request.message_ids)
            if not validation.is_decision_id(name)
        ]
        if not 1 <= len(request.message_ids) <= validation.BATCH_ITEMS_MAX:
            what = f"{len(request.message_ids)} items; send 1 to {validation.BATCH_ITEMS_MAX}"
            violations.append(Violation("message_ids", what))
        validation.refuse(violations)
        # Numbers beyond the store's name nothing there.
        numbers = [min(int(name, 16), NUMBER_MAX) for name in request.message_ids]
        return pb.RedriveMessagesResponse(redriven=self._desk.redrive(numbers)).SerializeToString()


def _message(one: Message) -> pb.OutboxMessage:
    kind = one.body if one.topic == notice.TOPIC else str(json.loads(one.body)["what"])
    return pb.OutboxMessage(
        message_id=f"{one.sequence:016x}",
        topic=_TOPIC_NUMBERS[one.topic],
        kind=kind,
        account_id=one.account_id,
        record_id=f"{one.record:016x}" if one.record else "",
        state=_STATE_NUMBERS[one.state],
        attempts=one.attempts,
        created_at=pages.timestamp(one.created_us),
        due_at=pages.timestamp(one.due_us),
    )
