"""LimitService: requests to commands, decisions and reads to responses.

Promises the four moves of an adapter: check, build, call, assemble. Decisions are made in batches by
`engine.execute`; everything else is asked of the desk.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Final

from holdline.v1 import account_pb2, account_service_pb2, decision_pb2, limit_service_pb2

from service.domain.book import Answered
from service.domain.decision import Decided, Kind, Outcome
from service.domain.errors import HoldlineError, Violation
from service.engine.desks.limits import LimitDesk
from service.engine.ports.codec import Call, Work
from service.rpc import commands, explanations, fields, pages, wire
from service.rpc.methods import ACCOUNTS, LIMITS
from service.rpc.status import ITEM_STATUS_BYTES_MAX, named, status_of

TEXTS_BYTES_MAX: Final = 1 << 20
"""Most bytes of customers' texts in a batch's answer that would be too large with all of them."""
DECIDE: Final = f"{LIMITS}Decide"
BATCH_DECIDE: Final = f"{LIMITS}BatchDecide"
STREAM_DECISIONS: Final = f"{LIMITS}StreamDecisions"
IMPORT_ACCOUNTS: Final = f"{ACCOUNTS}ImportAccounts"
GRANT_TEMPORARY_RAISE: Final = f"{ACCOUNTS}GrantTemporaryRaise"
PATHS: Final = (DECIDE, BATCH_DECIDE, STREAM_DECISIONS, IMPORT_ACCOUNTS, GRANT_TEMPORARY_RAISE)
LIST_DECISIONS: Final = f"{LIMITS}ListDecisions"
_KINDS: Final = frozenset(map(int, Kind))
_OUTCOMES: Final = frozenset(map(int, Outcome))


class LimitCalls:
    """The calls of LimitService, and those of AccountService that decide, in bytes."""

    def __init__(self, desk: LimitDesk) -> None:
        self._desk = desk
        self._reasons = wire.Reasons()
        self.queries: dict[str, Callable[[Call], bytes]] = {
            f"{LIMITS}Evaluate": self._evaluate,
            f"{LIMITS}GetDecision": self._get_decision,
            LIST_DECISIONS: self._list_decisions,
            f"{LIMITS}ExplainDecision": self._explain_decision,
        }

    def work(self, path: str, call: Call) -> Work:
        """Build the commands of a call that decides; raises InvalidRequest."""
        if path == DECIDE:
            request = limit_service_pb2.DecideRequest.FromString(call.body)
            command = commands.decide_command(request, call)
            return Work([command], [request.request_id], fields.languages_of([request]))
        if path == GRANT_TEMPORARY_RAISE:
            order = account_service_pb2.GrantTemporaryRaiseRequest.FromString(call.body)
            command = commands.temporary_command(order, call)
            return Work([command], [order.request_id], fields.languages_of([order]))
        if path == IMPORT_ACCOUNTS:
            accounts = account_service_pb2.ImportAccountsRequest.FromString(call.body).accounts
            return commands.batch(accounts, call, "accounts")
        if path == BATCH_DECIDE:
            return commands.batch(limit_service_pb2.BatchDecideRequest.FromString(call.body).requests, call, "requests")
        requests = limit_service_pb2.StreamDecisionsRequest.FromString(call.body).requests
        return commands.batch(requests, call, "requests")

    def response(self, path: str, work: Work, answers: Sequence[Answered | HoldlineError]) -> bytes:
        """Assemble the response of a call that decides; a single call's error is raised."""
        if path in (DECIDE, GRANT_TEMPORARY_RAISE):
            # Their responses have the same fields.
            if isinstance(answers[0], HoldlineError):
                raise answers[0]
            return self._decided(answers[0], self._reasons, work.asides[0] if work.asides else wire.ALL_LANGUAGES)
        full = self._results(work, answers, self._reasons)
        if len(full) <= pages.ANSWER_BYTES_MAX:
            return full
        return self._results(work, answers, wire.ReasonsOnce(TEXTS_BYTES_MAX))

    def _results(self, work: Work, answers: Sequence[Answered | HoldlineError], reasons: wire.WritesReasons) -> bytes:
        """Write the results of a batch, an import or a stream's message; they have the same fields."""
        wanted = work.asides or repeat(wire.ALL_LANGUAGES)
        return b"".join(
            wire.field(b"\x0a", self._result(request_id, answer, reasons, languages))
            for request_id, answer, languages in zip(work.request_ids, answers, wanted, strict=False)
        )

    def _result(
        self, request_id: str, answer: Answered | HoldlineError, reasons: wire.WritesReasons, languages: wire.Languages
    ) -> bytes:
        if isinstance(answer, HoldlineError):
            which = wire.field(b"\x0a", named(request_id))
            return which + wire.field(b"\x1a", status_of(answer, ITEM_STATUS_BYTES_MAX).SerializeToString())
        which = wire.field(b"\x0a", request_id.encode())
        return which + wire.field(b"\x12", self._decided(answer, reasons, languages))

    def _decided(self, decided: Answered, reasons: wire.WritesReasons, languages: wire.Languages) -> bytes:
        assert isinstance(decided, Decided), "a decision command is answered by a decision"
        return wire.decide_response(decided, self._texts(decided, reasons, languages))

    def _texts(self, decided: Decided, reasons: wire.WritesReasons, languages: wire.Languages) -> bytes:
        decision = decided.decision
        return reasons.written(decision.reasons, decision.policy_version, self._desk.policy, languages)

    def _decision(self, decided: Decided, languages: wire.Languages) -> bytes:
        return wire.decision(decided.decision, decided.currency, self._texts(decided, self._reasons, languages))

    def _evaluate(self, call: Call) -> bytes:
        request = limit_service_pb2.EvaluateRequest.FromString(call.body)
        command = commands.evaluate_command(request, call)
        decision, after, policy, explained = self._desk.evaluate(command, request.policy_version, request.mode_id)
        reasons = self._reasons.written(decision.reasons, policy.version, lambda _: policy, fields.languages(request))
        response = limit_service_pb2.EvaluateResponse(
            decision=decision_pb2.Decision.FromString(wire.decision(decision, after.currency, reasons)),
            account=account_pb2.Account.FromString(wire.account(after)),
            contributions=explanations.contributions(explained, decision, after.currency),
        )
        return response.SerializeToString()

    def _get_decision(self, call: Call) -> bytes:
        request = limit_service_pb2.GetDecisionRequest.FromString(call.body)
        fields.refuse([*fields.which_violations(request, "decision_id"), *fields.language_violations(request)])
        if request.WhichOneof("which") == "decision_id":
            decided = self._desk.decision(request.decision_id)
        else:
            decided = self._desk.decision_of(call.caller, request.request_id)
        return wire.field(b"\x0a", self._decision(decided, fields.languages(request)))

    def _list_decisions(self, call: Call) -> bytes:
        request = limit_service_pb2.ListDecisionsRequest.FromString(call.body)
        wanted, wrong = pages.log_filter_of(request, "decided_from", "decided_until", _KINDS, _OUTCOMES)
        filters = request.account_id, *wanted
        named = fields.account_id_violations(request.account_id)
        wrong = [*named, *wrong, *fields.language_violations(request)]
        asked = pages.page_of(LIST_DECISIONS, filters, request.page_size, request.page_token, wrong)
        count = asked.size if wanted.is_open else pages.SCANNED_MAX
        found = self._desk.account_decisions(request.account_id, asked.before, count)
        page = pages.filtered(
            found,
            lambda one: wanted.lets_through(one.decision.decided_us, one.decision.kind, one.decision.outcome),
            asked.size,
            is_all=not found or not found[-1].decision.previous,
        )
        languages = fields.languages(request)
        shown = pages.fitting((wire.field(b"\x0a", self._decision(one, languages)) for one in page.chosen), len)
        last = page.last_of(len(shown))
        token = pages.token(LIST_DECISIONS, filters, f"{last.decision.number:016x}") if last is not None else ""
        return b"".join((*shown, wire.field(b"\x12", token.encode()) if token else b""))

    def _explain_decision(self, call: Call) -> bytes:
        request = limit_service_pb2.ExplainDecisionRequest.FromString(call.body)
        wrong = fields.language_violations(request)
        if not fields.is_decision_id(request.decision_id):
            wrong.append(Violation("decision_id", "send 16 hexadecimal digits, lower case"))
        fields.refuse(wrong)
        languages = fields.languages(request)
        decided, policy, explained = self._desk.explained(request.decision_id)
        decision, currency = decided.decision, decided.currency
        response = limit_service_pb2.ExplainDecisionResponse(
            decision=decision_pb2.Decision.FromString(self._decision(decided, languages)),
            contributions=explanations.contributions(explained, decision, currency),
            findings=[explanations.finding(finding, decision, currency) for finding in explained.findings],
            advice=explanations.advice(explained, decided, languages),
            summaries=explanations.whole(decided, policy, explained, languages),
        )
        return response.SerializeToString()
