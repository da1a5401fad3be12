"""The synchronous client's behaviour events."""

from collections.abc import Iterable, Iterator, Sequence

import grpc
from holdline.v1 import event_pb2
from holdline.v1 import limit_service_pb2 as limits

from service.client import errors
from service.client.caller import Caller


class EventClient(Caller):
    """Sends what happened to accounts."""

    def record_events(self, events: Sequence[event_pb2.Event]) -> list[event_pb2.EventResult]:
        """Take up to 1,000 events, as `requests.event` makes them; a result each, with its error. Raises HoldlineError.

        Send the same events again where an answer is missing: each counts once.
        """
        return list(self._call(self._limits.RecordEvents, limits.RecordEventsRequest(events=events), "").results)

    def stream_events(
        self, batches: Iterable[Sequence[event_pb2.Event]], timeout_seconds: float | None = None
    ) -> Iterator[event_pb2.EventResult]:
        """Take events over one stream, up to 1,000 a batch; a result each. Raises HoldlineError.

        A stream is not retried: send what is unanswered again.
        """
        sent = (limits.StreamEventsRequest(events=batch) for batch in batches)
        try:
            for message in self._limits.StreamEvents(sent, timeout=timeout_seconds, metadata=self._metadata):
                yield from message.results
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from error
