"""RunService: business dates in, runs, closings and promises out; and the workers' own calls.

Promises the four moves of an adapter: check, build, call, assemble.
"""

from collections.abc import Callable
from typing import Final

from holdline.v1 import run_service_pb2 as pb

from service.domain.daily_run import ClosingReport, Discrepancy, DiscrepancyKind, RunReport, RunState
from service.domain.days import iso
from service.domain.entitlement import Entitlement
from service.domain.errors import Violation
from service.engine.daily_run import RunDesk
from service.engine.ports import Call
from service.engine.run_work import ask_of, reply_bytes
from service.rpc import pages, validation
from service.rpc.dates import business_day, is_date
from service.rpc.pages import timestamp

_OVER: Final = (pb.RUN_STATE_DONE, pb.RUN_STATE_CANCELLED)


class RunCalls:
    """The calls of RunService, in bytes."""

    def __init__(self, desk: RunDesk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            "StartDailyRun": self._start,
            "GetDailyRun": self._get,
            "WatchDailyRun": self._watch,
            "CancelDailyRun": self._cancel,
            "CloseBusinessDay": self._close,
            "MakeGoodBusinessDay": self._make_good,
            "ListDiscrepancies": self._discrepancies,
            "ListEntitlements": self._entitlements,
            "Work": lambda call: reply_bytes(desk.answer(ask_of(call.body))),
        }

    def _start(self, call: Call) -> bytes:
        request = pb.StartDailyRunRequest.FromString(call.body)
        report = self._desk.start(business_day(request.business_date), call.caller)
        return pb.StartDailyRunResponse(run=_run(report)).SerializeToString()

    def _get(self, call: Call) -> bytes:
        request = pb.GetDailyRunRequest.FromString(call.body)
        report = self._desk.report(business_day(request.business_date))
        return pb.GetDailyRunResponse(run=_run(report)).SerializeToString()

    def _watch(self, call: Call) -> bytes:
        """Answer one look of a watch: the run, empty where nothing is new since the token."""
        request = pb.WatchDailyRunRequest.FromString(call.body)
        run = _run(self._desk.report(business_day(request.business_date)))
        token = f"{run.state}:{run.shards_done}:{run.looked}:{run.granted}:{run.withheld}:{run.waits_for}"
        if token == request.resume_token:
            return b""
        return pb.WatchDailyRunResponse(run=run, resume_token=token).SerializeToString()

    def _cancel(self, call: Call) -> bytes:
        request = pb.CancelDailyRunRequest.FromString(call.body)
        report = self._desk.cancel(business_day(request.business_date))
        return pb.CancelDailyRunResponse(run=_run(report)).SerializeToString()

    def _close(self, call: Call) -> bytes:
        request = pb.CloseBusinessDayRequest.FromString(call.body)
        report = self._desk.close(business_day(request.business_date), call.caller)
        return pb.CloseBusinessDayResponse(closing=_closing(report)).SerializeToString()

    def _make_good(self, call: Call) -> bytes:
        request = pb.MakeGoodBusinessDayRequest.FromString(call.body)
        report = self._desk.make_good(business_day(request.business_date))
        return pb.MakeGoodBusinessDayResponse(closing=_closing(report)).SerializeToString()

    def _discrepancies(self, call: Call) -> bytes:
        request = pb.ListDiscrepanciesRequest.FromString(call.body)
        violations = pages.size_violations(request.page_size)
        if request.page_token and not validation.is_account_id(request.page_token):
            violations.append(Violation("page_token", "send next_page_token of the page before, unchanged"))
        if request.account_id:
            violations += validation.account_id_violations(request.account_id)
            if request.business_date:
                violations.append(Violation("business_date", "goes without account_id only; leave one of them out"))
        validation.refuse(violations)
        size = request.page_size or pages.PAGE_SIZE
        if request.account_id:
            own = self._desk.discrepancies_of(request.account_id, size)
            return pb.ListDiscrepanciesResponse(discrepancies=map(_discrepancy, own)).SerializeToString()
        # An account may differ in more than one way; its ways stay on one page, so as many more are asked for.
        day = business_day(request.business_date)
        found = self._desk.discrepancies(day, request.page_token, size + len(DiscrepancyKind))
        shown = pages.fitting(map(_discrepancy, found[:size]), pb.Discrepancy.ByteSize)
        is_cut = len(shown) < len(found)
        while is_cut and shown and shown[-1].account_id == found[len(shown)].account_id:
            shown.pop()
        if is_cut and not shown:
            shown = [_discrepancy(one) for one in found if one.account_id == found[0].account_id]
            is_cut = len(shown) < len(found)
        response = pb.ListDiscrepanciesResponse(
            discrepancies=shown, next_page_token=shown[-1].account_id if is_cut else ""
        )
        return response.SerializeToString()

    def _entitlements(self, call: Call) -> bytes:
        request = pb.ListEntitlementsRequest.FromString(call.body)
        violations = [
            *validation.account_id_violations(request.account_id),
            *pages.size_violations(request.page_size),
        ]
        if request.page_token and not is_date(request.page_token):
            violations.append(Violation("page_token", "send next_page_token of the page before, unchanged"))
        validation.refuse(violations)
        size = request.page_size or pages.PAGE_SIZE
        before = business_day(request.page_token, "page_token") if request.page_token else 1 << 31
        found = self._desk.entitlements(request.account_id, before, size)
        shown = pages.fitting(map(_entitlement, found), pb.Entitlement.ByteSize)
        is_cut = len(shown) < len(found) or len(found) == size
        response = pb.ListEntitlementsResponse(
            entitlements=shown, next_page_token=shown[-1].business_date if is_cut else ""
        )
        return response.SerializeToString()


def next_watch(request: bytes, answer: bytes) -> bytes | None:
    """Give the request that goes on watching after an answer, nothing where the run is over."""
    seen = pb.WatchDailyRunResponse.FromString(answer)
    if seen.run.state in _OVER:
        return None
    asked = pb.WatchDailyRunRequest.FromString(request)
    asked.resume_token = seen.resume_token
    return asked.SerializeToString()


def _run(report: RunReport) -> pb.DailyRun:
    run, shards, left_short, waits_for = report
    return pb.DailyRun(
        business_date=iso(run.business_day),
        state=pb.RunState.ValueType(run.state),
        started_by=run.started_by,
        started_at=timestamp(run.started_us),
        ended_at=timestamp(run.ended_us) if run.state is not RunState.RUNNING else None,
        accounts=run.accounts,
        looked=sum(shard.looked for shard in shards),
        granted=sum(shard.granted for shard in shards),
        withheld=sum(shard.withheld for shard in shards),
        shards=len(shards),
        shards_done=sum(shard.done_us > 0 for shard in shards),
        is_cut=run.is_cut,
        left_short=left_short,
        waits_for=iso(waits_for) if waits_for else "",
    )


def _closing(report: ClosingReport) -> pb.Closing:
    closing = report.closing
    return pb.Closing(
        business_date=iso(closing.business_day),
        state=pb.ClosingState.ValueType(closing.state),
        asked_by=closing.asked_by,
        asked_at=timestamp(closing.asked_us),
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


def _entitlement(one: Entitlement) -> pb.Entitlement:
    return pb.Entitlement(
        account_id=one.account_id,
        business_date=iso(one.business_day),
        state=pb.EntitlementState.ValueType(one.state),
        reason_code=one.reason,
        promised_minor=one.promised_minor,
        granted_minor=one.granted_minor,
        policy_version=one.policy_version,
        segment=one.segment,
        decision_id=f"{one.decision:016x}",
        waiting_since=iso(one.waiting_since) if one.waiting_since else "",
    )
