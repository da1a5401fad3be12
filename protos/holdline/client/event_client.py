"""The synchronous client's behaviour events."""

from collections.abc import Iterable, Iterator, Sequence

import grpc

from holdline.client import errors
from holdline.client.caller import Caller
from holdline.v1 import event_pb2, event_service_pb2


class EventClient(Caller):
    """Sends what happened to accounts."""

    def record_events(self, events: Sequence[event_pb2.Event]) -> list[event_pb2.EventResult]:
        """Take up to 1,000 events, as `requests.event` makes them; a result each, with its error. Raises HoldlineError.

        Send the same events again where an answer is missing: each counts once.
        """
        return list(
            self._call(self._events.RecordEvents, event_service_pb2.RecordEventsRequest(events=events), "").results
        )

    def stream_events(
        self, batches: Iterable[Sequence[event_pb2.Event]], timeout_seconds: float | None = None
    ) -> Iterator[event_pb2.EventResult]:
        """Take events over one stream, up to 1,000 a batch; a result each. Raises HoldlineError.

        A stream is not retried: send what is unanswered again.
        """
        sent = (event_service_pb2.StreamEventsRequest(events=batch) for batch in batches)
        try:
            for message in self._events.StreamEvents(sent, timeout=timeout_seconds, metadata=self._metadata):
                yield from message.results
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from error
