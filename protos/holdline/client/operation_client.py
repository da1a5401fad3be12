"""The synchronous client's operations: everything long in one form."""

import time
from collections.abc import Iterator, Sequence

import grpc

from holdline.client import errors, requests
from holdline.client.caller import Caller
from holdline.client.retry import RESUME_SECONDS, Outage
from holdline.v1 import operation_service_pb2 as pb


class OperationClient(Caller):
    """Reads, watches and stops operations."""

    def operation(self, operation_id: str) -> pb.Operation:
        """Read how far an operation is. Raises HoldlineError."""
        request = pb.GetOperationRequest(operation_id=operation_id)
        return self._call(self._operations.GetOperation, request, "").operation

    def operations(
        self, kinds: Sequence[str] = (), states: Sequence[str] = (), *, page_size: int = 100
    ) -> Iterator[pb.Operation]:
        """Read operations, newest business date first, page by page; of some kinds and states, or all.

        A kind is daily_run, closing or make_good; a state waiting, running, done, cancelled or failed. Raises
        HoldlineError.
        """
        request = pb.ListOperationsRequest(
            kinds=[pb.OperationKind.Value(f"OPERATION_KIND_{kind.upper()}") for kind in kinds],
            states=[pb.OperationState.Value(f"OPERATION_STATE_{state.upper()}") for state in states],
            page_size=page_size,
        )
        for page in self._pages(self._operations.ListOperations, request):
            yield from page.operations

    def cancel_operation(self, operation_id: str, *, reason: str, request_id: str = "") -> pb.Operation:
        """Stop an operation; of today's kinds a daily run. Raises HoldlineError."""
        request = pb.CancelOperationRequest(
            request_id=request_id or requests.new_request_id(), operation_id=operation_id, reason=reason
        )
        return self._call(self._operations.CancelOperation, request, request.request_id).operation

    def watch_operation(self, operation_id: str) -> Iterator[pb.Operation]:
        """Give an operation now and whenever it has come further, until it is over; a broken stream is resumed.

        Raises HoldlineError for what can't be retried: a refusal, or a server that stays out of reach.
        """
        request = pb.WatchOperationRequest(operation_id=operation_id)
        outage = Outage(self._timeout_seconds)
        while True:
            began = time.monotonic()
            try:
                for seen in self._operations.WatchOperation(request, metadata=self._metadata):
                    request.resume_token = seen.resume_token
                    outage.end()
                    yield seen.operation
            except grpc.RpcError as error:
                outage.endure(errors.from_rpc(error), began, time.monotonic())
                time.sleep(RESUME_SECONDS)
            else:
                return
