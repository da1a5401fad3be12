"""The synchronous client's look at notices and alerts."""

from collections.abc import Iterator, Sequence

from holdline.client import requests
from holdline.client.caller import Caller
from holdline.v1 import notification_service_pb2 as pb


class NotificationClient(Caller):
    """Looks at notices and alerts on their way out; a state is waiting, delivered or dead."""

    def notices(self, states: Sequence[str] = (), *, account_id: str = "", page_size: int = 100) -> Iterator[pb.Notice]:
        """Read customers' notices, newest first, page by page: of some states or all. Raises HoldlineError."""
        request = pb.ListNoticesRequest(account_id=account_id, states=_numbers(states), page_size=page_size)
        for page in self._pages(self._notifications.ListNotices, request):
            yield from page.notices

    def alerts(self, states: Sequence[str] = (), *, page_size: int = 100) -> Iterator[pb.Alert]:
        """Read on-call's alerts, newest first, page by page: of some states or all. Raises HoldlineError."""
        request = pb.ListAlertsRequest(states=_numbers(states), page_size=page_size)
        for page in self._pages(self._notifications.ListAlerts, request):
            yield from page.alerts

    def redrive(self, message_ids: Sequence[str], *, reason: str, request_id: str = "") -> int:
        """Let dead messages be told again; gives how many there were. Raises HoldlineError."""
        request = pb.RedriveMessagesRequest(
            request_id=request_id or requests.new_request_id(), message_ids=message_ids, reason=reason
        )
        return self._call(self._notifications.RedriveMessages, request, request.request_id).redriven


def _numbers(states: Sequence[str]) -> list[pb.MessageState.ValueType]:
    return [pb.MessageState.Value(f"MESSAGE_STATE_{state.upper()}") for state in states]
