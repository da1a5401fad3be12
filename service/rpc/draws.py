"""DrawService: authorisation holds, captures, voids, repayments, and reading them.

Promises the four moves of an adapter: check, build, call, assemble. Draws are posted in batches by `engine.execute`.
"""

from collections.abc import Callable, Sequence
from typing import Final

from holdline.v1 import account_pb2, decision_pb2, draw_pb2, draw_service_pb2, money_pb2

from service.domain.account import available_minor
from service.domain.book import Answered
from service.domain.decision import Outcome
from service.domain.draw import DrawCommand, DrawKind, Hold, HoldState, Posted, Posting, left_minor
from service.domain.errors import HoldlineError, Violation
from service.engine.desks.limits import LimitDesk
from service.engine.ports.codec import Call, Work
from service.rpc import commands, fields, pages
from service.rpc.explanations import texts
from service.rpc.methods import DRAWS
from service.rpc.wire import ALL_LANGUAGES, Languages

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
    f"{DRAWS}AuthorizeDraw": (draw_service_pb2.AuthorizeDrawRequest, DrawKind.AUTHORIZE),
    f"{DRAWS}CaptureDraw": (draw_service_pb2.CaptureDrawRequest, DrawKind.CAPTURE),
    f"{DRAWS}VoidDraw": (draw_service_pb2.VoidDrawRequest, DrawKind.VOID),
    f"{DRAWS}RecordRepayment": (draw_service_pb2.RecordRepaymentRequest, DrawKind.REPAY),
}
PATHS: Final = tuple(_REQUESTS)
LIST_HOLDS: Final = f"{DRAWS}ListHolds"
LIST_POSTINGS: Final = f"{DRAWS}ListPostings"
_STATES: Final = frozenset(map(int, HoldState))
_KINDS: Final = frozenset(map(int, DrawKind))
_OUTCOMES: Final = frozenset((int(Outcome.APPROVED), int(Outcome.DECLINED)))


class DrawCalls:
    """The calls of DrawService, in bytes."""

    def __init__(self, desk: LimitDesk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            f"{DRAWS}GetHold": self._get_hold,
            f"{DRAWS}GetPosting": self._get_posting,
            LIST_HOLDS: self._list_holds,
            LIST_POSTINGS: self._list_postings,
        }

    def work(self, path: str, call: Call) -> Work:
        """Build the command of a call; raises InvalidRequest."""
        message, kind = _REQUESTS[path]
        request = message.FromString(call.body)
        command = _command(request, kind, call)
        if isinstance(request, draw_service_pb2.AuthorizeDrawRequest):
            return Work([command], [request.request_id], fields.languages_of([request]))
        return Work([command], [request.request_id])

    def response(self, _: str, work: Work, answers: Sequence[Answered | HoldlineError]) -> bytes:
        """Assemble the response of a call; an error is raised. The four responses have the same fields."""
        answer = answers[0]
        if isinstance(answer, HoldlineError):
            raise answer
        assert isinstance(answer, Posted), "a draw command is answered by a posting"
        posting = self._posting(answer, work.asides[0] if work.asides else ALL_LANGUAGES)
        return draw_service_pb2.AuthorizeDrawResponse(posting=posting, replayed=answer.replayed).SerializeToString()

    def _get_hold(self, call: Call) -> bytes:
        request = draw_service_pb2.GetHoldRequest.FromString(call.body)
        violations = fields.account_id_violations(request.account_id)
        fields.refuse([*violations, *_hold_id_violations(request.hold_id)])
        hold, currency = self._desk.hold(request.account_id, int(request.hold_id, 16))
        return draw_service_pb2.GetHoldResponse(hold=_hold(hold, currency)).SerializeToString()

    def _get_posting(self, call: Call) -> bytes:
        request = draw_service_pb2.GetPostingRequest.FromString(call.body)
        fields.refuse([*fields.which_violations(request, "posting_id"), *fields.language_violations(request)])
        if request.WhichOneof("which") == "posting_id":
            posted = self._desk.posting(int(request.posting_id, 16))
        else:
            posted = self._desk.posting_of(call.caller, request.request_id)
        return draw_service_pb2.GetPostingResponse(
            posting=self._posting(posted, fields.languages(request))
        ).SerializeToString()

    def _list_holds(self, call: Call) -> bytes:
        request = draw_service_pb2.ListHoldsRequest.FromString(call.body)
        states = sorted(set(map(int, request.states)))
        filters = request.account_id, states
        wrong = fields.account_id_violations(request.account_id)
        wrong += pages.choice_violations("states", request.states, _STATES)
        asked = pages.page_of(LIST_HOLDS, filters, request.page_size, request.page_token, wrong)
        count = pages.SCANNED_MAX if states else asked.size + 1
        found, currency = self._desk.holds(request.account_id, asked.before, count)
        page = pages.filtered(
            found, lambda hold: not states or int(hold.state) in states, asked.size, is_all=len(found) < count
        )  # fmt: skip
        shown = pages.fitting((_hold(hold, currency) for hold in page.chosen), draw_pb2.Hold.ByteSize)
        last = page.last_of(len(shown))
        token = pages.token(LIST_HOLDS, filters, f"{last.number:016x}") if last is not None else ""
        return draw_service_pb2.ListHoldsResponse(holds=shown, next_page_token=token).SerializeToString()

    def _list_postings(self, call: Call) -> bytes:
        request = draw_service_pb2.ListPostingsRequest.FromString(call.body)
        wanted, wrong = pages.log_filter_of(request, "posted_from", "posted_until", _KINDS, _OUTCOMES)
        filters = request.account_id, *wanted
        named = fields.account_id_violations(request.account_id)
        wrong = [*named, *wrong, *fields.language_violations(request)]
        asked = pages.page_of(LIST_POSTINGS, filters, request.page_size, request.page_token, wrong)
        count = asked.size if wanted.is_open else pages.SCANNED_MAX
        found = self._desk.postings(request.account_id, asked.before, count)
        page = pages.filtered(
            found,
            lambda one: wanted.lets_through(one.posting.posted_us, one.posting.kind, one.posting.outcome),
            asked.size,
            is_all=not found or not found[-1].posting.previous,
        )
        languages = fields.languages(request)
        shown = pages.fitting((self._posting(one, languages) for one in page.chosen), draw_pb2.Posting.ByteSize)
        last = page.last_of(len(shown))
        token = pages.token(LIST_POSTINGS, filters, f"{last.posting.number:016x}") if last is not None else ""
        return draw_service_pb2.ListPostingsResponse(postings=shown, next_page_token=token).SerializeToString()

    def _posting(self, posted: Posted, languages: Languages) -> draw_pb2.Posting:
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
            reference=posting.reference,
        )
        if posting.reasons:
            known = self._desk.policy(posting.policy_version).texts
            found.reasons.extend(
                decision_pb2.Reason(code=code, texts=texts((known[code].zh, known[code].en), languages))
                for code in posting.reasons
            )
        return found


def _command(request: Request, kind: DrawKind, call: Call) -> DrawCommand:
    violations = [
        *fields.request_id_violations(request.request_id),
        *fields.account_id_violations(request.account_id),
        *_reference_violations(request.reference),
    ]
    hold_number = amount_minor = ttl_seconds = 0
    currency, is_final = "", False
    if isinstance(request, draw_service_pb2.CaptureDrawRequest | draw_service_pb2.VoidDrawRequest):
        violations += _hold_id_violations(request.hold_id)
        hold_number = int(request.hold_id, 16) if fields.is_decision_id(request.hold_id) else 0
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
        violations += fields.language_violations(request)
    fields.refuse(violations)
    meant: tuple[object, ...] = (request.account_id, kind, hold_number, amount_minor, currency, is_final, ttl_seconds)
    if request.reference:
        meant = (*meant, request.reference)
    return DrawCommand(
        call.caller, request.request_id, commands.fingerprint("draw", *meant), request.account_id, kind, hold_number,
        amount_minor, currency, is_final, ttl_seconds * SECOND_US, call.trace_id, reference=request.reference,
    )  # fmt: skip


def _reference_violations(reference: str) -> list[Violation]:
    if not reference or fields.is_request_id(reference):
        return []
    return [Violation("reference", f"{len(reference)} characters; send at most 64 of printable ASCII")]


def _hold_id_violations(hold_id: str) -> list[Violation]:
    if fields.is_record_id(hold_id):
        return []
    return [Violation("hold_id", "send the 16 hexadecimal digits of the hold")]


def _amount_violations(amount: money_pb2.Money) -> list[Violation]:
    violations = fields.money_violations("amount", amount)
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
        reference=hold.reference,
    )


def _balances(posting: Posting, currency: str) -> account_pb2.Balances:
    effective = posting.limit_minor
    room = available_minor(effective, posting.held_minor, posting.outstanding_minor)
    return account_pb2.Balances(
        limit=_money(effective - posting.extra_minor, currency),
        effective_limit=_money(effective, currency),
        held=_money(posting.held_minor, currency),
        outstanding=_money(posting.outstanding_minor, currency),
        available=_money(room, currency),
    )
