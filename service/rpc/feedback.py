"""FeedbackService: what customers say, appeals and their resolution; and the report of it.

Promises the four moves of an adapter: check, build, call, assemble.
"""

import re
from collections.abc import Callable
from itertools import chain
from typing import Final

from holdline.v1 import account_pb2, decision_pb2, money_pb2
from holdline.v1 import feedback_service_pb2 as pb
from holdline.v1.actor_pb2 import Actor

from service.domain.book import key_of
from service.domain.case import (
    SCORE_MAX,
    TEXT_MAX,
    CaseChange,
    CaseState,
    Category,
    FeedbackReport,
    Resolution,
    VoiceKind,
)
from service.domain.errors import Violation
from service.domain.facts import NOTHING_KNOWN, merge
from service.engine.desks.feedback import FeedbackDesk, Said, Word
from service.engine.desks.feedback_reads import OPEN_STATES, CaseAnswer
from service.engine.ports.codec import Call
from service.engine.ports.store import NUMBER_MAX
from service.rpc import commands, explanations, fields, pages, texts, wire
from service.rpc.methods import FEEDBACK

LIST_CASE_NOTES: Final = f"{FEEDBACK}ListCaseNotes"
LIST_CASES: Final = f"{FEEDBACK}ListCases"

_CATEGORIES: Final = frozenset(int(one) for one in Category)
_RESOLUTIONS: Final = frozenset(int(one) for one in Resolution)
_STATES: Final[dict[int, tuple[CaseState, ...]]] = {
    pb.CASE_STATE_OPEN: (CaseState.OPEN,),
    pb.CASE_STATE_AWAITING_SECOND: (CaseState.AWAITING_SECOND,),
    pb.CASE_STATE_RESOLVED: (CaseState.UPHELD, CaseState.OVERTURNED),
}
_STATE_OF: Final = {state: pb.CaseState.ValueType(number) for number, states in _STATES.items() for state in states}
_RESOLUTION_OF: Final = {
    CaseState.UPHELD: pb.RESOLUTION_UPHELD,
    CaseState.OVERTURNED: pb.RESOLUTION_OVERTURNED,
}
_ACTIONS: Final = {
    "awaiting_second": pb.CASE_ACTION_PROPOSED,
    "upheld": pb.CASE_ACTION_UPHELD,
    "overturned": pb.CASE_ACTION_OVERTURNED,
    "settle": pb.CASE_ACTION_SETTLED,
}
is_case_id: Final = re.compile(r"C([1-9][0-9]{0,17})").fullmatch


class FeedbackCalls:
    """The calls of FeedbackService that the engine answers, in bytes."""

    def __init__(self, desk: FeedbackDesk) -> None:
        self._desk = desk
        self._reasons = wire.Reasons()
        self.queries: dict[str, Callable[[Call], bytes]] = {
            f"{FEEDBACK}SubmitFeedback": self._feedback,
            f"{FEEDBACK}SubmitSurvey": self._survey,
            f"{FEEDBACK}SubmitAppeal": self._appeal,
            f"{FEEDBACK}ResolveAppeal": self._resolve,
            f"{FEEDBACK}GetCase": self._get,
            LIST_CASES: self._list,
            LIST_CASE_NOTES: self._notes,
        }

    def _feedback(self, call: Call) -> bytes:
        request = pb.SubmitFeedbackRequest.FromString(call.body)
        violations = _said_violations(request, text_least=0)
        if request.category not in _CATEGORIES:
            violations.append(Violation("category", "say what it is about"))
        fields.refuse(violations)
        said = _said(VoiceKind.FEEDBACK, request, call, request.text, category=request.category)
        number, replayed = self._desk.say(said)
        return pb.SubmitFeedbackResponse(feedback_id=f"F{number}", replayed=replayed).SerializeToString()

    def _survey(self, call: Call) -> bytes:
        request = pb.SubmitSurveyRequest.FromString(call.body)
        violations = _said_violations(request, text_least=0)
        if not 1 <= request.score <= SCORE_MAX:
            violations.append(Violation("score", f"{request.score} is out of range; send 1 to {SCORE_MAX}"))
        fields.refuse(violations)
        number, replayed = self._desk.say(_said(VoiceKind.SURVEY, request, call, request.text, score=request.score))
        return pb.SubmitSurveyResponse(feedback_id=f"F{number}", replayed=replayed).SerializeToString()

    def _appeal(self, call: Call) -> bytes:
        request = pb.SubmitAppealRequest.FromString(call.body)
        news, currencies, wrong = fields.facts_of(request.corrected_facts)
        violations = _said_violations(request, text_least=1)
        violations += [Violation(f"corrected_{one.field}", one.description) for one in wrong]
        fields.refuse(violations)
        said = _said(VoiceKind.APPEAL, request, call, request.statement, news=news, currencies=currencies)
        told = self._desk.appeal(said)
        case = _case(told, self._desk.now_us())
        return pb.SubmitAppealResponse(case=case, replayed=told.replayed).SerializeToString()

    def _resolve(self, call: Call) -> bytes:
        request = pb.ResolveAppealRequest.FromString(call.body)
        violations = [*fields.request_id_violations(request.request_id), *_case_id_violations(request.case_id)]
        if request.resolution not in _RESOLUTIONS:
            violations.append(Violation("resolution", "uphold the decision, or overturn it"))
        is_overturn = request.resolution == pb.RESOLUTION_OVERTURNED
        if is_overturn:
            violations += fields.money_violations("new_limit", request.new_limit)
        elif request.HasField("new_limit"):
            violations.append(Violation("new_limit", "goes with RESOLUTION_OVERTURNED only; leave it out"))
        violations += [*_text_violations("note", request.note, 1), *texts.violations(request)]
        fields.refuse(violations)
        limit, currency = request.new_limit.minor_units, request.new_limit.currency_code
        meant = (request.case_id, request.resolution, limit, currency, request.note)
        told = self._desk.resolve(
            Word(
                key_of(call.caller, request.request_id), commands.fingerprint("resolve", *meant), call.caller,
                _number(request.case_id), Resolution(request.resolution), limit, currency, request.note,
            )
        )  # fmt: skip
        case = _case(told, self._desk.now_us())
        return pb.ResolveAppealResponse(case=case, replayed=told.replayed).SerializeToString()

    def _get(self, call: Call) -> bytes:
        request = pb.GetCaseRequest.FromString(call.body)
        fields.refuse([*_case_id_violations(request.case_id), *fields.language_violations(request)])
        languages = fields.languages(request)
        told, decided, policy, why = self._desk.explained(_number(request.case_id))
        decision = decided.decision
        reasons = self._reasons.written(decision.reasons, policy.version, lambda _: policy, languages)
        return pb.GetCaseResponse(
            case=_case(told, self._desk.now_us()),
            decision=decision_pb2.Decision.FromString(wire.decision(decision, decided.currency, reasons)),
            facts=account_pb2.Facts.FromString(wire.facts(decision.profile, decided.currency)),
            summaries=explanations.whole(decided, policy, why, languages),
        ).SerializeToString()

    def _list(self, call: Call) -> bytes:
        request = pb.ListCasesRequest.FromString(call.body)
        wrong = fields.account_id_violations(request.account_id) if request.account_id else []
        chosen = pages.chosen("states", request.states, _STATES, wrong)
        if request.only_overdue and pb.CASE_STATE_RESOLVED in request.states:
            wrong.append(Violation("only_overdue", "what is resolved is never overdue; leave CASE_STATE_RESOLVED out"))
        filters = request.account_id, chosen, request.only_overdue
        page = pages.page_of(LIST_CASES, filters, request.page_size, request.page_token, wrong)
        states = OPEN_STATES if request.only_overdue and not request.states else tuple(chain.from_iterable(chosen))
        before = page.before or NUMBER_MAX
        found = self._desk.listed(request.account_id, states, before, page.size, only_overdue=request.only_overdue)
        now_us = self._desk.now_us()
        shown = pages.fitting((_case(told, now_us) for told in found), pb.Case.ByteSize)
        is_cut = pages.has_more(shown, found, page.size)
        token = pages.token(LIST_CASES, filters, f"{found[len(shown) - 1].case.number:016x}") if is_cut else ""
        return pb.ListCasesResponse(cases=shown, next_page_token=token).SerializeToString()

    def _notes(self, call: Call) -> bytes:
        request = pb.ListCaseNotesRequest.FromString(call.body)
        wrong = _case_id_violations(request.case_id)
        # Nothing is ever said before what was said: how many were shown is a place that stays.
        page = pages.page_of(LIST_CASE_NOTES, request.case_id, request.page_size, request.page_token, wrong)
        found, currency = self._desk.notes(_number(request.case_id), page.before, page.size)
        shown = pages.fitting((_note(change, currency) for change in found), pb.CaseNote.ByteSize)
        is_cut = pages.has_more(shown, found, page.size)
        last = f"{page.before + len(shown):016x}"
        token = pages.token(LIST_CASE_NOTES, request.case_id, last) if is_cut else ""
        return pb.ListCaseNotesResponse(notes=shown, next_page_token=token).SerializeToString()


Request = pb.SubmitFeedbackRequest | pb.SubmitSurveyRequest | pb.SubmitAppealRequest


def _said_violations(request: Request, text_least: int) -> list[Violation]:
    violations = [
        *fields.request_id_violations(request.request_id),
        *fields.account_id_violations(request.account_id),
        *texts.violations(request),
    ]
    needs_decision = isinstance(request, pb.SubmitAppealRequest)
    if (request.decision_id or needs_decision) and not fields.is_record_id(request.decision_id):
        violations.append(Violation("decision_id", "send 16 hexadecimal digits, lower case"))
    if isinstance(request, pb.SubmitAppealRequest):
        return violations + _text_violations("statement", request.statement, text_least)
    return violations + _text_violations("text", request.text, text_least)


def _text_violations(field: str, text: str, least: int) -> list[Violation]:
    if least <= len(text) <= TEXT_MAX:
        return []
    return [Violation(field, f"{len(text)} characters; send {least} to {TEXT_MAX}")]


def _case_id_violations(case_id: str) -> list[Violation]:
    return [] if is_case_id(case_id) else [Violation("case_id", "send C and the number of the case")]


def _number(case_id: str) -> int:
    return int(case_id[1:])


def _said(
    kind: VoiceKind, request: Request, call: Call, text: str, *, category: int = 0, score: int = 0,
    news: fields.News = (), currencies: fields.Currencies = (),
) -> Said:  # fmt: skip
    meant = (request.account_id, request.decision_id, text, category, score, news, currencies)
    return Said(
        kind, key_of(call.caller, request.request_id), commands.fingerprint("say", int(kind), *meant), call.caller,
        request.account_id, int(request.decision_id or "0", 16), text, category, score, news, currencies,
    )  # fmt: skip


def _case(told: CaseAnswer, now_us: int) -> pb.Case:
    case = told.case
    facts = account_pb2.Facts.FromString(wire.facts(merge(NOTHING_KNOWN, case.news, 0), told.currency))
    return pb.Case(
        case_id=case.name,
        kind=pb.CASE_KIND_APPEAL,
        state=_STATE_OF[case.state],
        resolution=_RESOLUTION_OF.get(case.state, pb.RESOLUTION_UNSPECIFIED),
        account_id=case.account_id,
        submitted_by=Actor(caller=case.submitted_by),
        submitted_at=pages.timestamp(case.submitted_us),
        due_at=pages.timestamp(case.due_us),
        is_overdue=case.state in OPEN_STATES and case.due_us < now_us,
        resolved_at=pages.timestamp(case.resolved_us),
        result_decision_id=f"{case.result:016x}" if case.result else "",
        appeal=pb.AppealSubject(
            decision_id=f"{case.decision:016x}",
            statement=case.statement,
            corrected_facts=facts if case.news else None,
            suggested_limit=_money(case.suggested_minor, told.currency),
        ),
    )


def _note(change: CaseChange, currency: str) -> pb.CaseNote:
    return pb.CaseNote(
        actor=Actor(caller=change.caller),
        at=pages.timestamp(change.changed_us),
        action=_ACTIONS[change.action],
        limit=_money(change.limit_minor, currency),
        note=change.note,
    )


def _money(minor_units: int, currency: str) -> money_pb2.Money | None:
    return money_pb2.Money(minor_units=minor_units, currency_code=currency) if minor_units else None


def report_message(report: FeedbackReport, *, is_cut_off: bool) -> pb.GetFeedbackReportResponse:
    """Give a report as its message."""
    return pb.GetFeedbackReportResponse(
        lines=[
            pb.FeedbackLine(
                reason_code=line.reason,
                policy_version=line.policy_version,
                complaints=line.complaints,
                appeals=line.appeals,
                complaints_before=line.complaints_before,
            )
            for line in report.lines
        ],
        voices=report.voices,
        complaints=report.complaints,
        surveys=[pb.SurveyCount(score=score, count=count) for score, count in enumerate(report.surveys, start=1)],
        is_cut_off=is_cut_off,
    )
