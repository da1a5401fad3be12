"""What the sentry answers of PlaybookService, and what it asks of the engine, in bytes.

Promises the four moves of an adapter: check, build, call, assemble.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from holdline.v1 import decision_pb2, money_pb2
from holdline.v1 import playbook_service_pb2 as pb
from holdline.v1.feedback_service_pb2 import GetFeedbackReportRequest

from service.domain.activation import requested, scope_violations
from service.domain.book import key_of
from service.domain.case import report_of
from service.domain.decision import Decided
from service.domain.errors import AnswerTooLarge, HoldlineError, Refused, Violation
from service.domain.mode import Mode
from service.domain.playbook import completed
from service.domain.policy import DAY_US
from service.domain.watch import Baseline
from service.engine import once
from service.engine.acts import Order
from service.engine.control import Control
from service.engine.desks import reports
from service.engine.desks.reports import Pulse, Report
from service.engine.ports.codec import Answer, Asks, Call
from service.engine.ports.store import Store
from service.engine.preview import REFUSED, Changed, Preview, newest, preview
from service.rpc import commands, fields
from service.rpc import playbook_messages as messages
from service.rpc.feedback import report_message
from service.rpc.methods import FEEDBACK, INDEX_OF, METHODS, PLAYBOOKS, REPORT
from service.rpc.pages import ANSWER_BYTES_MAX, timestamp
from service.rpc.status import status_of, unreadable
from service.sentry.guards import CALLER, Guards, Signal

PREVIEW_DECISIONS: Final = 10_000
PREVIEW_DECISIONS_MAX: Final = 100_000
BREATH_DECISIONS: Final = 100
"""Some 10 ms of a preview."""
REPORT_DAYS: Final = 30
REPORT_DAYS_MAX: Final = 366
VOICES_MAX: Final = 100_000
BASELINE_DECISIONS: Final = 20_000
BASELINE_DECISIONS_LEAST: Final = 1_000
ACTIVATE: Final = INDEX_OF["/holdline.v1.PlaybookService/ActivatePlaybook"]


class Watcher(Protocol):
    """The sentry, as its codec asks it."""

    guards: Guards
    watermark: int
    looked_us: int

    def learn(self, product: str, count: int, by: str) -> Baseline: ...  # noqa: D102 - the sentry says it.
    def keep(self, baseline: Baseline) -> tuple[int, bool]: ...  # noqa: D102 - the same.
    def breathe(self) -> None: ...  # noqa: D102 - the same.


class SentryCodec:
    """Answers previews, signals and baselines."""

    def __init__(self, store: Store, control: Control, watcher: Watcher) -> None:
        self._store = store
        self._control = control
        self._watcher = watcher
        self._queries: dict[str, Callable[[Call], bytes]] = {
            f"{PLAYBOOKS}PreviewPlaybook": self._preview,
            f"{PLAYBOOKS}GetSignals": self._signals,
            f"{PLAYBOOKS}LearnBaseline": self._learn,
            f"{FEEDBACK}GetFeedbackReport": self._feedback_report,
        }

    def query(self, call: Call) -> Answer:
        """Answer a call."""
        try:
            body = self._queries[METHODS[call.method].path](call)
        except DecodeError:
            return self.error(unreadable())
        except HoldlineError as error:
            return self.error(error)
        if len(body) > ANSWER_BYTES_MAX:
            return self.error(AnswerTooLarge(bytes=str(len(body)), bytes_max=str(ANSWER_BYTES_MAX)))
        return Answer(0, body)

    def error(self, error: HoldlineError) -> Answer:
        """Give an error as an answer."""
        status = status_of(error)
        return Answer(status.code, status.SerializeToString())

    def _preview(self, call: Call) -> bytes:
        request = pb.PreviewPlaybookRequest.FromString(call.body)
        parameters, wrong_parameters = messages.parameters_of(request.parameters)
        scope, wrong_scope = messages.scope_of(request.scope)
        version = messages.version_of(request)
        violations = [*messages.name_violations(request.name, version), *wrong_parameters, *wrong_scope]
        count = request.decisions if request.HasField("decisions") else PREVIEW_DECISIONS
        if not 1 <= count <= PREVIEW_DECISIONS_MAX:
            violations.append(Violation("decisions", f"{count} is out of range; send 1 to {PREVIEW_DECISIONS_MAX}"))
        fields.refuse(violations)
        playbook = self._control.playbooks.find(request.name, version or 0)
        values, wrong_values = completed(playbook, parameters)
        wrong_scope += scope_violations(scope, sorted(self._store.active_versions()))
        fields.refuse([*wrong_scope, *messages.placed(wrong_values, request.parameters)])
        candidate = requested(0, playbook, values, scope, 1, "", "", "", 0, is_break_glass=True, is_forced=False)

        def mode_of(names: tuple[str, ...]) -> Mode:
            return self._control.recorded_mode(self._store, names, candidate)

        started = time.perf_counter()
        decided = self._breathing(newest(self._store, count))
        found = preview(decided, playbook, scope, mode_of, lambda version: self._control.version(self._store, version))
        took_micros = int((time.perf_counter() - started) * 1e6)
        return _preview_message(found, took_micros).SerializeToString()

    def _breathing(self, decided: Iterable[Decided]) -> Iterator[Decided]:
        """Pass decisions on, and let the sentry take its turns in between."""
        for place, one in enumerate(decided):
            if place % BREATH_DECISIONS == 0:
                self._watcher.breathe()
            yield one

    def _signals(self, call: Call) -> bytes:
        pb.GetSignalsRequest.FromString(call.body)
        response = pb.GetSignalsResponse(
            signals=[signal_message(one) for one in self._watcher.guards.signals()],
            newest_decision_id=f"{self._watcher.watermark:016x}" if self._watcher.watermark > 0 else "",
            as_of=timestamp(self._watcher.looked_us),
        )
        return response.SerializeToString()

    def _feedback_report(self, call: Call) -> bytes:
        request = GetFeedbackReportRequest.FromString(call.body)
        violations = fields.product_violations(request.product, needed=False)
        if not 0 <= request.days <= REPORT_DAYS_MAX:
            violations.append(Violation("days", f"{request.days} is out of range; send 0 to {REPORT_DAYS_MAX}"))
        fields.refuse(violations)
        period_us = (request.days or REPORT_DAYS) * DAY_US
        now_us = self._store.now_us()
        found = self._store.cases.voices_since(now_us - 2 * period_us, VOICES_MAX)
        counted = [voice for voice in found if request.product in ("", voice.product)]
        report = report_of(counted, now_us - period_us)
        return report_message(report, is_cut_off=len(found) == VOICES_MAX).SerializeToString()

    def _learn(self, call: Call) -> bytes:
        request = pb.LearnBaselineRequest.FromString(call.body)
        count = request.decisions if request.HasField("decisions") else BASELINE_DECISIONS
        violations = [
            *fields.request_id_violations(request.request_id),
            *fields.product_violations(request.product, needed=True),
            *fields.reason_violations(request.reason),
        ]
        if not BASELINE_DECISIONS_LEAST <= count <= PREVIEW_DECISIONS_MAX:
            allowed = f"{BASELINE_DECISIONS_LEAST} to {PREVIEW_DECISIONS_MAX}"
            violations.append(Violation("decisions", f"{count} is out of range; send {allowed}"))
        fields.refuse(violations)
        key = key_of(call.caller, request.request_id)
        seal = commands.fingerprint("learn baseline", request.product, count, request.reason)
        asked = Order("learn baseline", key, seal, call.caller)
        recorded = self._recorded(asked)
        if recorded is not None:
            return _learned(recorded, replayed=True)
        baseline = self._watcher.learn(request.product, count, call.caller)
        if not baseline.decisions:
            fields.refuse([Violation("product", "has no decisions among the newest; name one that has")])
        try:
            version, replayed = self._watcher.keep(baseline._replace(key=key, fingerprint=seal, reason=request.reason))
        except Refused:
            # The engine has the last word on a key, and what it stands for can be read by now.
            self._recorded(asked)
            raise
        kept = self._recorded(asked) if replayed else None
        return _learned(kept or baseline._replace(version=version), replayed=replayed)

    def _recorded(self, asked: Order) -> Baseline | None:
        """Find what a key stands for; raises IdempotencyKeyReused."""
        return once.recorded(self._store, asked, self._store.playbooks.baseline)


def _learned(baseline: Baseline, *, replayed: bool) -> bytes:
    return pb.LearnBaselineResponse(
        version=baseline.version, decisions=baseline.decisions, replayed=replayed
    ).SerializeToString()


def _preview_message(found: Preview, took_micros: int) -> pb.PreviewPlaybookResponse:
    return pb.PreviewPlaybookResponse(
        decisions=found.decisions,
        covered=found.covered,
        changed=found.changed,
        transitions=[
            pb.PreviewTransition(
                kind=decision_pb2.DecisionKind.ValueType(kind),
                was=decision_pb2.Outcome.ValueType(was),
                would_be=_outcome(would_be),
                count=count,
            )
            for (kind, was, would_be), count in found.transitions.most_common()
        ],
        money=[
            pb.PreviewMoney(
                raised_was=_money(sums.raised_was, currency),
                raised_would_be=_money(sums.raised_would_be, currency),
                cut_was=_money(sums.cut_was, currency),
                cut_would_be=_money(sums.cut_would_be, currency),
            )
            for currency, sums in sorted(found.money.items())
        ],
        samples=[_sample(one) for one in found.samples],
        took_micros=took_micros,
        note=found.note,
    )


def _money(minor: int, currency: str) -> money_pb2.Money:
    return money_pb2.Money(minor_units=minor, currency_code=currency)


def _sample(one: Changed) -> pb.PreviewSample:
    decision = one.decision
    return pb.PreviewSample(
        decision_id=f"{decision.number:016x}",
        kind=decision_pb2.DecisionKind.ValueType(int(decision.kind)),
        was=decision_pb2.Outcome.ValueType(int(decision.outcome)),
        would_be=_outcome(one.outcome),
        limit_was=_money(decision.new_limit_minor, one.currency),
        limit_would_be=_money(one.limit_minor, one.currency),
        reasons_was=decision.reasons,
        reasons_would_be=one.reasons,
        refusal=one.refusal,
    )


def _outcome(number: int) -> decision_pb2.Outcome.ValueType | None:
    """Give an outcome; none where the call would have been refused."""
    return None if number == REFUSED else decision_pb2.Outcome.ValueType(number)


def signal_message(one: Signal) -> pb.Signal:
    """Give what a guard sees as a message."""
    name, _, fact = one.name.partition(":")
    unit = pb.SIGNAL_UNIT_MICROSECONDS if name == "latency" else pb.SIGNAL_UNIT_PARTS_PER_MILLION
    return pb.Signal(
        name=name,
        fact=fact,
        product=one.product,
        unit=unit,
        value=one.value,
        baseline=one.baseline,
        percent=min(int(one.share * 100), 1_000_000),
        alarming=one.is_alarming,
        since=timestamp(one.since_us),
        recommends=one.recommends if one.is_alarming else "",
        baseline_version=one.baseline_version or None,
    )


class EngineCalls:
    """The engine as the sentry asks it."""

    def __init__(self, line: Asks, ttl_seconds: int) -> None:
        self._line = line
        self._ttl_seconds = ttl_seconds

    def report(self, report: Report) -> Pulse:
        """Report; raises EngineUnavailable or Refused."""
        return reports.pulse(_body(self._line.ask(REPORT, reports.CALLER, reports.report_bytes(report))))

    def activate(self, playbook: str, product: str, reason: str) -> None:
        """Put a playbook in force for a product; raises EngineUnavailable or Refused."""
        request = pb.ActivatePlaybookRequest(
            request_id=f"guard-{time.time_ns():x}",
            name=playbook,
            scope=pb.Scope(product=product),
            ttl_seconds=self._ttl_seconds,
            reason=reason,
            break_glass=True,
        )
        _body(self._line.ask(ACTIVATE, CALLER, request.SerializeToString()))


def _body(answer: Answer) -> bytes:
    if answer.code:
        status = status_pb2.Status.FromString(answer.body)
        raise Refused(status.message)
    return answer.body
