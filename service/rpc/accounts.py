"""AccountService's reads: one account, many by their ids, and pages of them.

Promises the four moves of an adapter: check, build, call, assemble. What writes accounts is decided: `rpc.limits`.
"""

from collections.abc import Callable
from typing import Final

from holdline.v1 import account_service_pb2

from service.domain.account import Status
from service.domain.errors import AccountNotFound, InvalidRequest, Violation
from service.engine.desks.limits import LimitDesk
from service.engine.ports.codec import Call
from service.rpc import fields, pages, wire
from service.rpc.methods import ACCOUNTS
from service.rpc.status import ITEM_STATUS_BYTES_MAX, named, status_of

_STATUSES: Final = frozenset(map(int, Status))
LIST_ACCOUNTS: Final = f"{ACCOUNTS}ListAccounts"


class AccountCalls:
    """The reads of AccountService, in bytes."""

    def __init__(self, desk: LimitDesk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            f"{ACCOUNTS}GetAccount": self._get_account,
            f"{ACCOUNTS}BatchGetAccounts": self._batch_get_accounts,
            LIST_ACCOUNTS: self._list_accounts,
        }

    def _get_account(self, call: Call) -> bytes:
        request = account_service_pb2.GetAccountRequest.FromString(call.body)
        fields.refuse(fields.account_id_violations(request.account_id))
        return wire.field(b"\x0a", wire.account(self._desk.account(request.account_id)))

    def _batch_get_accounts(self, call: Call) -> bytes:
        names = list(account_service_pb2.BatchGetAccountsRequest.FromString(call.body).account_ids)
        fields.refuse(_names_violations(names))
        return b"".join(wire.field(b"\x0a", self._result(name)) for name in names)

    def _result(self, account_id: str) -> bytes:
        which = wire.field(b"\x0a", named(account_id))
        try:
            # The item is an id and has no field of its own.
            wrong = fields.account_id_violations(account_id)
            fields.refuse([Violation("account_ids", one.description) for one in wrong])
            return which + wire.field(b"\x12", wire.account(self._desk.account(account_id)))
        except (AccountNotFound, InvalidRequest) as error:
            return which + wire.field(b"\x1a", status_of(error, ITEM_STATUS_BYTES_MAX).SerializeToString())

    def _list_accounts(self, call: Call) -> bytes:
        request = account_service_pb2.ListAccountsRequest.FromString(call.body)
        statuses = sorted(set(map(int, request.statuses)))
        filters = request.product, statuses
        fields.refuse(
            [
                *fields.product_violations(request.product, needed=False),
                *pages.choice_violations("statuses", request.statuses, _STATUSES),
                *pages.violations(LIST_ACCOUNTS, filters, request.page_size, request.page_token),
            ]
        )
        size = request.page_size or pages.PAGE_SIZE
        count = pages.SCANNED_MAX if request.product or statuses else size + 1
        found = list(self._desk.accounts_after(pages.last_shown(request.page_token), count))
        page = pages.filtered(
            found,
            lambda one: request.product in ("", one.product) and (not statuses or int(one.status) in statuses),
            size,
            is_all=len(found) < count,
        )
        shown = pages.fitting((wire.field(b"\x0a", wire.account(account)) for account in page.chosen), len)
        last = page.last_of(len(shown))
        token = pages.token(LIST_ACCOUNTS, filters, last.account_id).encode() if last is not None else b""
        return b"".join((*shown, wire.field(b"\x12", token) if token else b""))


def _names_violations(names: list[str]) -> list[Violation]:
    if not 1 <= len(names) <= fields.BATCH_ITEMS_MAX:
        return [Violation("account_ids", f"{len(names)} items; send 1 to {fields.BATCH_ITEMS_MAX}")]
    first: dict[str, int] = {}
    found = []
    for place, name in enumerate(names):
        if first.setdefault(name, place) != place:
            found.append(Violation(f"account_ids[{place}]", f"repeats account_ids[{first[name]}]; ids must differ"))
    return found
