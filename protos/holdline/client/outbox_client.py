"""The synchronous client's look at the outbox."""

from collections.abc import Iterator, Sequence

from holdline.client.caller import Caller
from holdline.v1 import notification_service_pb2 as pb


class OutboxClient(Caller):
    """Looks at alerts and notices on their way out."""

    def messages(
        self, state: str = "waiting", *, topic: str = "notice", account_id: str = "", page_size: int = 100
    ) -> Iterator[pb.OutboxMessage]:
        """Read messages, newest first, page by page: of a state and topic, or of an account. Raises HoldlineError."""
        request = pb.ListMessagesRequest(
            account_id=account_id,
            topic=pb.MessageTopic.Value(f"MESSAGE_TOPIC_{topic.upper()}"),
            state=pb.MessageState.Value(f"MESSAGE_STATE_{state.upper()}"),
            page_size=page_size,
        )
        for page in self._pages(self._notifications.ListMessages, request):
            yield from page.messages

    def redrive(self, message_ids: Sequence[str]) -> int:
        """Let dead messages be told again; gives how many there were. Raises HoldlineError."""
        request = pb.RedriveMessagesRequest(message_ids=message_ids)
        return self._call(self._notifications.RedriveMessages, request, "").redriven
