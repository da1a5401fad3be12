"""LimitService: requests to commands, decisions and reads to responses.

Promises the four moves of an adapter: check, build, call, assemble. Decisions are made in batches by
`engine.execute`; everything else is asked of the desk.
"""

from collections.abc import Callable, Sequence
from typing import Final

from holdline.v1 import account_pb2, account_service_pb2, decision_pb2, limit_service_pb2, money_pb2

from service.domain import explain
from service.domain.advice import Advice, change_texts
from service.domain.book import Answered
from service.domain.days import iso
from service.domain.decision import Decided
from service.domain.errors import HoldlineError, InvalidRequest, Violation
from service.domain.facts import FACTS
from service.engine.desk import Desk
from service.engine.ports import Call, Work
from service.rpc import pages, validation, wire
from service.rpc.status import ITEM_STATUS_BYTES_MAX, status_of

TEXTS_BYTES_MAX: Final = 1 << 20
"""Most bytes of customers' texts in a batch's answer that would be too large with all of them."""


class LimitCalls:
    """The calls of LimitService, in bytes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reasons = wire.Reasons()
        self.queries: dict[str, Callable[[Call], bytes]] = {
            "Evaluate": self._evaluate,
            "ListDecisions": self._list_decisions,
            "ExplainDecision": self._explain_decision,
        }

    def work(self, name: str, call: Call) -> Work:
        """Build the commands of a call that decides; raises InvalidRequest."""
        if name == "Decide":
            request = limit_service_pb2.DecideRequest.FromString(call.body)
            return Work([validation.decide_command(request, call)], [request.request_id])
        if name == "GrantTemporaryRaise":
            order = account_service_pb2.GrantTemporaryRaiseRequest.FromString(call.body)
            return Work([validation.temporary_command(order, call)], [order.request_id])
        if name == "ImportAccounts":
            accounts = account_service_pb2.ImportAccountsRequest.FromString(call.body).accounts
            return validation.batch(accounts, call, "accounts")
        if name == "BatchDecide":
            return validation.batch(
                limit_service_pb2.BatchDecideRequest.FromString(call.body).requests, call, "requests"
            )
        requests = limit_service_pb2.StreamDecisionsRequest.FromString(call.body).requests
        return validation.batch(requests, call, "requests")

    def response(self, name: str, work: Work, answers: Sequence[Answered | HoldlineError]) -> bytes:
        """Assemble the response of a call that decides; a single call's error is raised."""
        if name in ("Decide", "GrantTemporaryRaise"):
            # Their responses have the same fields.
            if isinstance(answers[0], HoldlineError):
                raise answers[0]
            return self._decided(answers[0], self._reasons)
        assemble = self._streamed if name == "StreamDecisions" else self._listed
        full = assemble(work, answers, self._reasons)
        if len(full) <= pages.ANSWER_BYTES_MAX:
            return full
        return assemble(work, answers, wire.ReasonsOnce(TEXTS_BYTES_MAX))

    def _listed(self, _: Work, answers: Sequence[Answered | HoldlineError], reasons: wire.WritesReasons) -> bytes:
        return b"".join(
            wire.field(b"\x0a", wire.field(b"\x12", status_of(answer, ITEM_STATUS_BYTES_MAX).SerializeToString()))
            if isinstance(answer, HoldlineError)
            else wire.field(b"\x0a", wire.field(b"\x0a", self._decided(answer, reasons)))
            for answer in answers
        )

    def _streamed(self, work: Work, answers: Sequence[Answered | HoldlineError], reasons: wire.WritesReasons) -> bytes:
        return b"".join(
            wire.field(b"\x0a", self._one_streamed(request_id, answer, reasons))
            for request_id, answer in zip(work.request_ids, answers, strict=True)
        )

    def _one_streamed(self, request_id: str, answer: Answered | HoldlineError, reasons: wire.WritesReasons) -> bytes:
        which = wire.field(b"\x0a", request_id.encode())
        if isinstance(answer, HoldlineError):
            return which + wire.field(b"\x1a", status_of(answer, ITEM_STATUS_BYTES_MAX).SerializeToString())
        return which + wire.field(b"\x12", self._decided(answer, reasons))

    def _decided(self, decided: Answered, reasons: wire.WritesReasons) -> bytes:
        assert isinstance(decided, Decided), "a decision command is answered by a decision"
        return wire.decide_response(decided, self._texts(decided, reasons))

    def _texts(self, decided: Decided, reasons: wire.WritesReasons) -> bytes:
        decision = decided.decision
        return reasons.written(decision.reasons, self._desk.policy(decision.policy_version))

    def _decision(self, decided: Decided) -> bytes:
        return wire.decision(decided.decision, decided.currency, self._texts(decided, self._reasons))

    def _evaluate(self, call: Call) -> bytes:
        request = limit_service_pb2.EvaluateRequest.FromString(call.body)
        command = validation.evaluate_command(request, call)
        decision, after, policy, explained = self._desk.evaluate(command, request.policy_version, request.mode_id)
        response = limit_service_pb2.EvaluateResponse(
            decision=decision_pb2.Decision.FromString(
                wire.decision(decision, after.currency, self._reasons.written(decision.reasons, policy))
            ),
            account=account_pb2.Account.FromString(wire.account(after)),
            contributions=_contributions(explained),
        )
        return response.SerializeToString()

    def _list_decisions(self, call: Call) -> bytes:
        request = limit_service_pb2.ListDecisionsRequest.FromString(call.body)
        page = pages.asked(request.page_size, request.page_token, validation.account_id_violations(request.account_id))
        found = self._desk.account_decisions(request.account_id, page.before, page.size)
        shown = pages.fitting((wire.field(b"\x0a", self._decision(decided)) for decided in found), len)
        last = found[len(shown) - 1].decision if shown else None
        is_cut = len(shown) < len(found) or len(found) == page.size
        token = wire.field(b"\x12", b"%016x" % last.number) if last is not None and is_cut and last.previous else b""
        return b"".join((*shown, token))

    def _explain_decision(self, call: Call) -> bytes:
        request = limit_service_pb2.ExplainDecisionRequest.FromString(call.body)
        if not validation.is_decision_id(request.decision_id):
            raise InvalidRequest((Violation("decision_id", "send 16 hexadecimal digits, lower case"),))
        decided, policy, explained = self._desk.explained(request.decision_id)
        summary_zh, summary_en = explain.summaries(decided.decision, policy, decided.currency, explained)
        advice_zh, advice_en = explain.advised(explained, decided.currency)
        response = limit_service_pb2.ExplainDecisionResponse(
            decision=decision_pb2.Decision.FromString(self._decision(decided)),
            contributions=_contributions(explained),
            findings=[_finding(finding) for finding in explained.findings],
            advice=_changes(explained.advice, decided.currency),
            summary_zh=summary_zh,
            summary_en=summary_en,
            ask_again_from=iso(explained.advice.from_day) if explained.advice and explained.advice.from_day else "",
            advice_zh=advice_zh,
            advice_en=advice_en,
        )
        return response.SerializeToString()


def _contributions(explained: explain.Explanation) -> list[decision_pb2.Contribution]:
    return [
        decision_pb2.Contribution(
            characteristic=piece.characteristic,
            value=piece.value,
            points=piece.points,
            points_max=piece.points_max,
            reason_code=piece.reason,
        )
        for piece in explained.contributions
    ]


def _finding(finding: explain.Finding) -> decision_pb2.RuleFinding:
    return decision_pb2.RuleFinding(
        path=finding.path,
        reason_code=finding.reason,
        fact=finding.fact,
        requirement=finding.requirement,
        value=finding.value,
    )


def _changes(found: Advice | None, currency: str) -> list[decision_pb2.Advice]:
    """Write each change of a verified set, with what follows from all of them together."""
    if found is None:
        return []
    changes = []
    for change in (*found.changes, *found.by_then):
        text_zh, text_en = change_texts(change, currency)
        changes.append(
            decision_pb2.Advice(
                fact=FACTS[change.fact].name,
                current_value=change.current,
                target_value=change.target,
                limit_then=money_pb2.Money(minor_units=found.limit_then_minor, currency_code=currency),
                outcome_then=decision_pb2.Outcome.ValueType(int(found.outcome_then)),
                text_zh=text_zh,
                text_en=text_en,
            )
        )
    return changes
