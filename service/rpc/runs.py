"""RunService: business dates in, runs, closings and promises out; and the workers' own calls.

Promises the four moves of an adapter: check, build, call, assemble.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from holdline.v1 import run_service_pb2 as pb
from holdline.v1.actor_pb2 import Actor
from holdline.v1.money_pb2 import Money

from service.domain.book import key_of
from service.domain.daily_run import ClosingReport, ClosingState, Discrepancy, DiscrepancyKind, RunReport, RunState
from service.domain.days import iso
from service.domain.entitlement import Entitlement
from service.domain.errors import InvalidRequest, Violation
from service.engine.acts import Order
from service.engine.desks.run_reads import LAST_DAY
from service.engine.desks.run_work import ask_of, reply_bytes
from service.engine.desks.runs import RunDesk
from service.engine.ports.codec import Call
from service.rpc import commands, fields, pages
from service.rpc.dates import business_day
from service.rpc.methods import INTERNAL, RUNS
from service.rpc.pages import timestamp

LIST_CLOSINGS: Final = f"{RUNS}ListClosings"
LIST_DISCREPANCIES: Final = f"{RUNS}ListDiscrepancies"
LIST_ENTITLEMENTS: Final = f"{RUNS}ListEntitlements"
WATCH: Final = f"{RUNS}WatchDailyRun"
LIST_RUNS: Final = f"{RUNS}ListRuns"

_RUN_STATES: Final = {int(state): state for state in RunState}
_CLOSING_STATES: Final = {int(state): state for state in ClosingState}
_OVER: Final = (pb.RUN_STATE_DONE, pb.RUN_STATE_CANCELLED)


class RunCalls:
    """The calls of RunService, in bytes."""

    def __init__(self, desk: RunDesk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            f"{RUNS}StartDailyRun": self._start,
            f"{RUNS}ResumeDailyRun": self._resume,
            f"{RUNS}GetDailyRun": self._get,
            LIST_RUNS: self._list,
            WATCH: self._watch,
            f"{RUNS}CancelDailyRun": self._cancel,
            f"{RUNS}CloseBusinessDay": self._close,
            f"{RUNS}GetClosing": self._get_closing,
            LIST_CLOSINGS: self._list_closings,
            f"{RUNS}MakeGoodBusinessDay": self._make_good,
            LIST_DISCREPANCIES: self._discrepancies,
            LIST_ENTITLEMENTS: self._entitlements,
            f"{INTERNAL}Work": lambda call: reply_bytes(desk.answer(ask_of(call.body))),
        }

    def _start(self, call: Call) -> bytes:
        request = pb.StartDailyRunRequest.FromString(call.body)
        report, replayed = self._desk.start(order_of("start_run", request, call))
        return pb.StartDailyRunResponse(run=run_message(report), replayed=replayed).SerializeToString()

    def _resume(self, call: Call) -> bytes:
        request = pb.ResumeDailyRunRequest.FromString(call.body)
        report, replayed = self._desk.resume(order_of("resume_run", request, call, request.reason))
        return pb.ResumeDailyRunResponse(run=run_message(report), replayed=replayed).SerializeToString()

    def _get(self, call: Call) -> bytes:
        request = pb.GetDailyRunRequest.FromString(call.body)
        report = self._desk.report(business_day(request.business_date))
        return pb.GetDailyRunResponse(run=run_message(report)).SerializeToString()

    def _watch(self, call: Call) -> bytes:
        """Answer one look of a watch: the run, empty where it is at work and nothing is new since the token."""
        request = pb.WatchDailyRunRequest.FromString(call.body)
        day = business_day(request.business_date)
        pages.check_resume(WATCH, request.business_date, request.resume_token)
        run = run_message(self._desk.report(day))
        seen = f"{run.state}:{run.shards_done}:{run.looked}:{run.granted}:{run.withheld}:{run.waits_for}"
        token = pages.token(WATCH, request.business_date, seen)
        # A stream ends with the answer that the run is over; who comes back with that one's token is told again.
        if token == request.resume_token and run.state not in _OVER:
            return b""
        return pb.WatchDailyRunResponse(run=run, resume_token=token).SerializeToString()

    def _list(self, call: Call) -> bytes:
        request = pb.ListRunsRequest.FromString(call.body)
        found: list[Violation] = []
        states = pages.chosen("states", request.states, _RUN_STATES, found)
        days = _days(LIST_RUNS, states, request.page_size, request.page_token, found)
        reports = self._desk.reports(states, *days)
        shown = pages.fitting(map(run_message, reports), pb.DailyRun.ByteSize)
        token = _next(LIST_RUNS, states, shown, pages.has_more(shown, reports, days.size))
        return pb.ListRunsResponse(runs=shown, next_page_token=token).SerializeToString()

    def _cancel(self, call: Call) -> bytes:
        request = pb.CancelDailyRunRequest.FromString(call.body)
        report, replayed = self._desk.cancel(order_of("cancel_run", request, call, request.reason))
        return pb.CancelDailyRunResponse(run=run_message(report), replayed=replayed).SerializeToString()

    def _close(self, call: Call) -> bytes:
        request = pb.CloseBusinessDayRequest.FromString(call.body)
        report, replayed = self._desk.close(order_of("close_day", request, call))
        return pb.CloseBusinessDayResponse(closing=closing_message(report), replayed=replayed).SerializeToString()

    def _get_closing(self, call: Call) -> bytes:
        request = pb.GetClosingRequest.FromString(call.body)
        report = self._desk.closing(business_day(request.business_date), "", 0)
        return pb.GetClosingResponse(closing=closing_message(report)).SerializeToString()

    def _list_closings(self, call: Call) -> bytes:
        request = pb.ListClosingsRequest.FromString(call.body)
        found: list[Violation] = []
        states = pages.chosen("states", request.states, _CLOSING_STATES, found)
        days = _days(LIST_CLOSINGS, states, request.page_size, request.page_token, found)
        reports = self._desk.closings(states, *days)
        shown = pages.fitting(map(closing_message, reports), pb.Closing.ByteSize)
        token = _next(LIST_CLOSINGS, states, shown, pages.has_more(shown, reports, days.size))
        return pb.ListClosingsResponse(closings=shown, next_page_token=token).SerializeToString()

    def _make_good(self, call: Call) -> bytes:
        request = pb.MakeGoodBusinessDayRequest.FromString(call.body)
        report, replayed = self._desk.make_good(order_of("make_good", request, call, request.reason))
        return pb.MakeGoodBusinessDayResponse(closing=closing_message(report), replayed=replayed).SerializeToString()

    def _discrepancies(self, call: Call) -> bytes:
        request = pb.ListDiscrepanciesRequest.FromString(call.body)
        violations = pages.violations(
            LIST_DISCREPANCIES, request.business_date, request.page_size, request.page_token
        )  # fmt: skip
        if request.account_id:
            violations += fields.account_id_violations(request.account_id)
            if request.business_date:
                violations.append(Violation("business_date", "goes without account_id only; leave one of them out"))
            if request.page_token:
                violations.append(Violation("page_token", "goes without account_id only; an account has one page"))
        fields.refuse(violations)
        size = request.page_size or pages.PAGE_SIZE
        if request.account_id:
            own = self._desk.discrepancies_of(request.account_id, size)
            return pb.ListDiscrepanciesResponse(discrepancies=map(_discrepancy, own)).SerializeToString()
        # An account may differ in more than one way; its ways stay on one page, so as many more are asked for.
        day = business_day(request.business_date)
        after_id = pages.last_shown(request.page_token)
        found = self._desk.discrepancies(day, after_id, size + len(DiscrepancyKind))
        shown = pages.fitting(map(_discrepancy, found[:size]), pb.Discrepancy.ByteSize)
        is_cut = len(shown) < len(found)
        while is_cut and shown and shown[-1].account_id == found[len(shown)].account_id:
            shown.pop()
        if is_cut and not shown:
            shown = [_discrepancy(one) for one in found if one.account_id == found[0].account_id]
            is_cut = len(shown) < len(found)
        token = pages.token(LIST_DISCREPANCIES, request.business_date, shown[-1].account_id) if is_cut else ""
        return pb.ListDiscrepanciesResponse(discrepancies=shown, next_page_token=token).SerializeToString()

    def _entitlements(self, call: Call) -> bytes:
        request = pb.ListEntitlementsRequest.FromString(call.body)
        wrong = fields.account_id_violations(request.account_id)
        days = _days(LIST_ENTITLEMENTS, request.account_id, request.page_size, request.page_token, wrong)
        found, currency = self._desk.entitlements(request.account_id, *days)
        shown = pages.fitting((_entitlement(one, currency) for one in found), pb.Entitlement.ByteSize)
        is_cut = pages.has_more(shown, found, days.size)
        token = _next(LIST_ENTITLEMENTS, request.account_id, shown, is_cut)
        return pb.ListEntitlementsResponse(entitlements=shown, next_page_token=token).SerializeToString()


class Days(NamedTuple):
    """A page of days, newest first: from before which day, how many."""

    before_day: int
    size: int


def _days(rpc: str, filters: object, page_size: int, page_token: str, violations: Sequence[Violation]) -> Days:
    """Read the page of days that is asked for; raises InvalidRequest, with the violations found so far."""
    fields.refuse([*violations, *pages.violations(rpc, filters, page_size, page_token)])
    before = business_day(pages.last_shown(page_token), "page_token") if page_token else LAST_DAY
    return Days(before, page_size or pages.PAGE_SIZE)


Dated = pb.DailyRun | pb.Closing | pb.Entitlement


def _next(rpc: str, filters: object, shown: Sequence[Dated], is_cut: bool) -> str:
    return pages.token(rpc, filters, shown[-1].business_date) if is_cut else ""


Ordering = (
    pb.StartDailyRunRequest
    | pb.ResumeDailyRunRequest
    | pb.CancelDailyRunRequest
    | pb.CloseBusinessDayRequest
    | pb.MakeGoodBusinessDayRequest
)


def order_of(action: str, request: Ordering, call: Call, reason: str | None = None) -> Order:
    """Build an order about a day, with its reason where a person acts; raises InvalidRequest."""
    violations = fields.request_id_violations(request.request_id)
    if reason is not None:
        violations += fields.reason_violations(reason)
    day = 0
    try:
        day = business_day(request.business_date)
    except InvalidRequest as error:
        violations += error.violations
    fields.refuse(violations)
    key, seal = key_of(call.caller, request.request_id), commands.fingerprint(action, day, reason or "")
    return Order(action, key, seal, call.caller, reason or "", day)


def next_watch(request: bytes, answer: bytes) -> bytes | None:
    """Give the request that goes on watching after an answer, nothing where the run is over."""
    seen = pb.WatchDailyRunResponse.FromString(answer)
    if seen.run.state in _OVER:
        return None
    asked = pb.WatchDailyRunRequest.FromString(request)
    asked.resume_token = seen.resume_token
    return asked.SerializeToString()


def run_message(report: RunReport) -> pb.DailyRun:
    """Give a run as its message."""
    run, shards, left_short, waits_for = report
    return pb.DailyRun(
        business_date=iso(run.business_day),
        state=pb.RunState.ValueType(run.state),
        started_by=Actor(caller=run.started_by),
        started_at=timestamp(run.started_us),
        ended_at=timestamp(run.ended_us) if run.state is not RunState.RUNNING else None,
        accounts=run.accounts or None,
        looked=sum(shard.looked for shard in shards),
        granted=sum(shard.granted for shard in shards),
        withheld=sum(shard.withheld for shard in shards),
        shards=len(shards),
        shards_done=sum(shard.done_us > 0 for shard in shards),
        is_cut=run.is_cut,
        left_short=left_short,
        waits_for=iso(waits_for) if waits_for else "",
    )


def closing_message(report: ClosingReport) -> pb.Closing:
    """Give a closing as its message."""
    closing = report.closing
    return pb.Closing(
        business_date=iso(closing.business_day),
        state=pb.ClosingState.ValueType(closing.state),
        asked_by=Actor(caller=closing.asked_by),
        asked_at=timestamp(closing.asked_us),
        closed_at=timestamp(closing.closed_us),
        making_good_by=Actor(caller=closing.making_good_by) if closing.making_good_by else None,
        making_good_at=timestamp(closing.making_good_us),
        ended_at=timestamp(closing.ended_us),
        accounts=closing.accounts,
        lines=[pb.ClosingLine(**line._asdict()) for line in closing.lines],
        discrepancies=[
            pb.DiscrepancyCount(
                kind=pb.DiscrepancyKind.ValueType(count.kind), accounts=count.accounts, made_good=count.made_good
            )
            for count in report.counts
        ],
        incident=closing.incident,
        waits_for=iso(report.waits_for) if report.waits_for else "",
    )


def _discrepancy(one: Discrepancy) -> pb.Discrepancy:
    return pb.Discrepancy(
        account_id=one.account_id,
        kind=pb.DiscrepancyKind.ValueType(one.kind),
        detail=one.detail,
        decision_id=f"{one.decision:016x}" if one.decision else "",
        business_date=iso(one.business_day),
    )


def _entitlement(one: Entitlement, currency: str) -> pb.Entitlement:
    return pb.Entitlement(
        account_id=one.account_id,
        business_date=iso(one.business_day),
        state=pb.EntitlementState.ValueType(one.state),
        reason_code=one.reason,
        promised=Money(minor_units=one.promised_minor, currency_code=currency),
        granted=Money(minor_units=one.granted_minor, currency_code=currency),
        policy_version=one.policy_version,
        segment=one.segment,
        decision_id=f"{one.decision:016x}",
        waiting_since=iso(one.waiting_since) if one.waiting_since else "",
    )
