"""LimitService's draws: authorisation holds, captures, voids, repayments, and reading them.

Promises the four moves of an adapter: check, build, call, assemble. Draws are posted in batches by `engine.execute`.
"""

from collections.abc import Callable, Sequence
from typing import Final

from holdline.v1 import decision_pb2, draw_pb2, draw_service_pb2, money_pb2

from service.domain.account import available_minor
from service.domain.book import Answered
from service.domain.draw import DrawCommand, DrawKind, Hold, Posted, Posting, left_minor
from service.domain.errors import HoldlineError, Violation
from service.engine.desk import Desk
from service.engine.ports import Call, Work
from service.rpc import pages, validation

TTL_SECONDS: Final = 7 * 86_400
TTL_SECONDS_MAX: Final = 30 * 86_400
SECOND_US: Final = 1_000_000

Request = (
    draw_service_pb2.AuthorizeDrawRequest
    | draw_service_pb2.CaptureDrawRequest
    | draw_service_pb2.VoidDrawRequest
    | draw_service_pb2.RecordRepaymentRequest
)
_REQUESTS: Final[dict[str, tuple[type[Request], DrawKind]]] = {
    "AuthorizeDraw": (draw_service_pb2.AuthorizeDrawRequest, DrawKind.AUTHORIZE),
    "CaptureDraw": (draw_service_pb2.CaptureDrawRequest, DrawKind.CAPTURE),
    "VoidDraw": (draw_service_pb2.VoidDrawRequest, DrawKind.VOID),
    "RecordRepayment": (draw_service_pb2.RecordRepaymentRequest, DrawKind.REPAY),
}
NAMES: Final = tuple(_REQUESTS)


class DrawCalls:
    """The calls of LimitService that move exposure, in bytes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            "GetHold": self._get_hold,
            "ListPostings": self._list_postings,
        }

    def work(self, name: str, call: Call) -> Work:
        """Build the command of a call; raises InvalidRequest."""
        message, kind = _REQUESTS[name]
        request = message.FromString(call.body)
        return Work([_command(request, kind, call)], [request.request_id])

    def response(self, _: str, __: Work, answers: Sequence[Answered | HoldlineError]) -> bytes:
        """Assemble the response of a call; an error is raised. The four responses have the same fields."""
        answer = answers[0]
        if isinstance(answer, HoldlineError):
            raise answer
        assert isinstance(answer, Posted), "a draw command is answered by a posting"
        posting = self._posting(answer)
        return draw_service_pb2.AuthorizeDrawResponse(posting=posting, replayed=answer.replayed).SerializeToString()

    def _get_hold(self, call: Call) -> bytes:
        request = draw_service_pb2.GetHoldRequest.FromString(call.body)
        violations = validation.account_id_violations(request.account_id)
        validation.refuse([*violations, *_hold_id_violations(request.hold_id)])
        hold, currency = self._desk.hold(request.account_id, int(request.hold_id, 16))
        return draw_service_pb2.GetHoldResponse(hold=_hold(hold, currency)).SerializeToString()

    def _list_postings(self, call: Call) -> bytes:
        request = draw_service_pb2.ListPostingsRequest.FromString(call.body)
        page = pages.asked(request.page_size, request.page_token, validation.account_id_violations(request.account_id))
        found = self._desk.postings(request.account_id, page.before, page.size)
        shown = pages.fitting(map(self._posting, found), draw_pb2.Posting.ByteSize)
        is_cut = len(shown) < len(found) or len(found) == page.size
        has_more = is_cut and shown and found[len(shown) - 1].posting.previous
        return draw_service_pb2.ListPostingsResponse(
            postings=shown, next_page_token=shown[-1].posting_id if has_more else ""
        ).SerializeToString()

    def _posting(self, posted: Posted) -> draw_pb2.Posting:
        posting, currency = posted.posting, posted.currency
        found = draw_pb2.Posting(
            posting_id=f"{posting.number:016x}",
            account_id=posting.account_id,
            kind=draw_pb2.PostingKind.ValueType(posting.kind),
            outcome=decision_pb2.Outcome.ValueType(posting.outcome),
            amount=money_pb2.Money(minor_units=posting.amount_minor, currency_code=currency),
            hold=_hold(posting.hold, currency) if posting.hold else None,
            balances=_balances(posting, currency),
            policy_version=posting.policy_version,
            mode_id=posting.mode_id,
            caller=posting.caller,
            request_id=posting.request_id,
            trace_id=posting.trace_id,
            posted_at=pages.timestamp(posting.posted_us),
        )
        if posting.reasons:
            texts = self._desk.policy(posting.policy_version).texts
            found.reasons.extend(
                decision_pb2.Reason(code=code, text_zh=texts[code].zh, text_en=texts[code].en)
                for code in posting.reasons
            )
        return found


def _command(request: Request, kind: DrawKind, call: Call) -> DrawCommand:
    violations = [
        *validation.request_id_violations(request.request_id),
        *validation.account_id_violations(request.account_id),
    ]
    hold_number = amount_minor = ttl_seconds = 0
    currency, is_final = "", False
    if isinstance(request, draw_service_pb2.CaptureDrawRequest | draw_service_pb2.VoidDrawRequest):
        violations += _hold_id_violations(request.hold_id)
        hold_number = int(request.hold_id, 16) if validation.is_decision_id(request.hold_id) else 0
    if not isinstance(request, draw_service_pb2.VoidDrawRequest):
        violations += _amount_violations(request.amount)
        amount_minor, currency = request.amount.minor_units, request.amount.currency_code
    if isinstance(request, draw_service_pb2.CaptureDrawRequest):
        is_final = request.is_final
    if isinstance(request, draw_service_pb2.AuthorizeDrawRequest):
        ttl_seconds = request.ttl_seconds or TTL_SECONDS
        if not 1 <= ttl_seconds <= TTL_SECONDS_MAX:
            what = f"{ttl_seconds} is out of range; seconds from 1 to {TTL_SECONDS_MAX}, 0 for {TTL_SECONDS}"
            violations.append(Violation("ttl_seconds", what))
    validation.refuse(violations)
    meant = (request.account_id, kind, hold_number, amount_minor, currency, is_final, ttl_seconds)
    return DrawCommand(
        call.caller, request.request_id, validation.fingerprint("draw", *meant), request.account_id, kind, hold_number,
        amount_minor, currency, is_final, ttl_seconds * SECOND_US, call.trace_id,
    )  # fmt: skip


def _hold_id_violations(hold_id: str) -> list[Violation]:
    if validation.is_record_id(hold_id):
        return []
    return [Violation("hold_id", "send the 16 hexadecimal digits of the hold")]


def _amount_violations(amount: money_pb2.Money) -> list[Violation]:
    violations = validation.money_violations("amount", amount)
    if not amount.minor_units:
        violations.append(Violation("amount.minor_units", "0 moves nothing; send at least 1"))
    return violations


def _money(minor_units: int, currency: str) -> money_pb2.Money:
    return money_pb2.Money(minor_units=minor_units, currency_code=currency)


def _hold(hold: Hold, currency: str) -> draw_pb2.Hold:
    return draw_pb2.Hold(
        hold_id=f"{hold.number:016x}",
        account_id=hold.account_id,
        state=draw_pb2.HoldState.ValueType(hold.state),
        authorised=_money(hold.authorised_minor, currency),
        captured=_money(hold.captured_minor, currency),
        left=_money(left_minor(hold), currency),
        authorised_at=pages.timestamp(hold.authorised_us),
        expires_at=pages.timestamp(hold.expires_us),
    )


def _balances(posting: Posting, currency: str) -> draw_pb2.Balances:
    room = available_minor(posting.limit_minor, posting.held_minor, posting.outstanding_minor)
    return draw_pb2.Balances(
        limit=_money(posting.limit_minor, currency),
        held=_money(posting.held_minor, currency),
        outstanding=_money(posting.outstanding_minor, currency),
        available=_money(room, currency),
    )
