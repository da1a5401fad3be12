"""The synchronous client's draws and repayments."""

from collections.abc import Iterator
from typing import Any

from holdline.client import requests
from holdline.client.caller import Caller
from holdline.v1 import account_pb2, account_service_pb2, draw_pb2, draw_service_pb2, money_pb2


class DrawClient(Caller):
    """Uses limits."""

    def authorize(self, account_id: str, amount: money_pb2.Money, **said: Any) -> draw_pb2.Posting:
        """Hold an amount against the limit; arguments as `requests.authorize`. Raises HoldlineError."""
        request = requests.authorize(account_id, amount, **said)
        return self._call(self._draws.AuthorizeDraw, request, request.request_id).posting

    def capture(self, account_id: str, hold_id: str, amount: money_pb2.Money, **said: Any) -> draw_pb2.Posting:
        """Capture from a hold; arguments as `requests.capture`. Raises HoldlineError."""
        request = requests.capture(account_id, hold_id, amount, **said)
        return self._call(self._draws.CaptureDraw, request, request.request_id).posting

    def void(self, account_id: str, hold_id: str, *, request_id: str = "") -> draw_pb2.Posting:
        """Release a hold. Raises HoldlineError."""
        request = requests.void(account_id, hold_id, request_id=request_id)
        return self._call(self._draws.VoidDraw, request, request.request_id).posting

    def repay(self, account_id: str, amount: money_pb2.Money, *, request_id: str = "") -> draw_pb2.Posting:
        """Take a repayment off what is owed. Raises HoldlineError."""
        request = requests.repay(account_id, amount, request_id=request_id)
        return self._call(self._draws.RecordRepayment, request, request.request_id).posting

    def grant_temporary_raise(
        self, account_id: str, temporary_raise: account_pb2.TemporaryRaise, *, request_id: str = ""
    ) -> account_service_pb2.GrantTemporaryRaiseResponse:
        """Order a temporary raise, as `requests.raise_until` makes it. Raises HoldlineError."""
        request = account_service_pb2.GrantTemporaryRaiseRequest(
            request_id=request_id or requests.new_request_id(), account_id=account_id, temporary_raise=temporary_raise
        )
        return self._call(self._accounts.GrantTemporaryRaise, request, request.request_id)

    def hold(self, account_id: str, hold_id: str) -> draw_pb2.Hold:
        """Read a hold as it stands now. Raises HoldlineError."""
        request = draw_service_pb2.GetHoldRequest(account_id=account_id, hold_id=hold_id)
        return self._call(self._draws.GetHold, request, "").hold

    def postings(self, account_id: str, page_size: int = 100) -> Iterator[draw_pb2.Posting]:
        """Read an account's draws and repayments, newest first, page by page. Raises HoldlineError."""
        request = draw_service_pb2.ListPostingsRequest(account_id=account_id, page_size=page_size)
        for page in self._pages(self._draws.ListPostings, request):
            yield from page.postings
