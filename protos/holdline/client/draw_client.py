"""The synchronous client's draws and repayments."""

from collections.abc import Iterable, Iterator
from typing import Any

from holdline.client import requests
from holdline.client.caller import Caller
from holdline.client.errors import HoldlineError, from_status
from holdline.v1 import account_pb2, account_service_pb2, decision_pb2, draw_pb2, draw_service_pb2, money_pb2


class DrawClient(Caller):
    """Uses limits."""

    def authorize(self, account_id: str, amount: money_pb2.Money, **said: Any) -> draw_pb2.Posting:
        """Hold an amount against the limit; arguments as `requests.authorize`. Raises HoldlineError.

        Where too little is available the posting is declined, with its reasons and without a hold: `is_declined`.
        """
        request = requests.authorize(account_id, amount, **said)
        return self._call(self._draws.AuthorizeDraw, request, request.request_id).posting

    def capture(self, account_id: str, hold_id: str, amount: money_pb2.Money, **said: Any) -> draw_pb2.Posting:
        """Capture from a hold; arguments as `requests.capture`. Raises HoldlineError."""
        request = requests.capture(account_id, hold_id, amount, **said)
        return self._call(self._draws.CaptureDraw, request, request.request_id).posting

    def void(self, account_id: str, hold_id: str, **said: str) -> draw_pb2.Posting:
        """Release a hold; arguments as `requests.void`. Raises HoldlineError."""
        request = requests.void(account_id, hold_id, **said)
        return self._call(self._draws.VoidDraw, request, request.request_id).posting

    def repay(self, account_id: str, amount: money_pb2.Money, **said: str) -> draw_pb2.Posting:
        """Take a repayment off what is owed; arguments as `requests.repay`. Raises HoldlineError."""
        request = requests.repay(account_id, amount, **said)
        return self._call(self._draws.RecordRepayment, request, request.request_id).posting

    def grant_temporary_raise(
        self, account_id: str, temporary_raise: account_pb2.TemporaryRaise, reason: str, *, request_id: str = ""
    ) -> account_service_pb2.GrantTemporaryRaiseResponse:
        """Order a temporary raise, as `requests.raise_until` makes it, with why. Raises HoldlineError."""
        request = account_service_pb2.GrantTemporaryRaiseRequest(
            request_id=request_id or requests.new_request_id(), account_id=account_id, temporary_raise=temporary_raise,
            reason=reason,
        )  # fmt: skip
        return self._call(self._accounts.GrantTemporaryRaise, request, request.request_id)

    def hold(self, account_id: str, hold_id: str) -> draw_pb2.Hold:
        """Read a hold as it stands now. Raises HoldlineError."""
        request = draw_service_pb2.GetHoldRequest(account_id=account_id, hold_id=hold_id)
        return self._call(self._draws.GetHold, request, "").hold

    def holds(self, account_id: str, **filters: Any) -> Iterator[draw_pb2.Hold]:
        """Read an account's holds as they are now, newest first; filters of ListHoldsRequest. Raises HoldlineError."""
        request = draw_service_pb2.ListHoldsRequest(account_id=account_id, **filters)
        for page in self._pages(self._draws.ListHolds, request):
            yield from page.holds

    def posting(self, posting_id: str = "", *, request_id: str = "") -> draw_pb2.Posting:
        """Read a posting by its id, or by the request id it was made with. Raises HoldlineError."""
        which = {"posting_id": posting_id} if posting_id else {"request_id": request_id}
        return self._call(self._draws.GetPosting, draw_service_pb2.GetPostingRequest(**which), "").posting

    def postings(self, account_id: str, page_size: int = 100, **filters: Any) -> Iterator[draw_pb2.Posting]:
        """Read an account's draws and repayments, newest first, page by page. Raises HoldlineError.

        Filters as ListPostingsRequest.
        """
        request = draw_service_pb2.ListPostingsRequest(account_id=account_id, page_size=page_size, **filters)
        for page in self._pages(self._draws.ListPostings, request):
            yield from page.postings

    def accounts(self, account_ids: Iterable[str]) -> list[account_pb2.Account | HoldlineError]:
        """Read up to 1,000 accounts by their ids, each or why there is none. Raises HoldlineError."""
        request = account_service_pb2.BatchGetAccountsRequest(account_ids=account_ids)
        return [
            one.account if one.HasField("account") else from_status(one.error)
            for one in self._call(self._accounts.BatchGetAccounts, request, "").results
        ]

    def list_accounts(self, **filters: Any) -> Iterator[account_pb2.Account]:
        """Read accounts by their ids, page by page; filters as ListAccountsRequest. Raises HoldlineError."""
        request = account_service_pb2.ListAccountsRequest(**filters)
        for page in self._pages(self._accounts.ListAccounts, request):
            yield from page.accounts


def is_declined(posting: draw_pb2.Posting) -> bool:
    """Claim that a draw was declined: nothing is held for it, and its reasons say why."""
    return posting.outcome == decision_pb2.OUTCOME_DECLINED
