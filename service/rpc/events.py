"""LimitService's behaviour events: from what a feed sends to commands, and results back.

Promises the four moves of an adapter: check, build, call, assemble. Events are taken in batches by `engine.execute`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from holdline.v1 import event_pb2, limit_service_pb2

from service.domain.behaviour import KEPT_DAYS, MAINTAINED, Event, EventKind
from service.domain.book import Answered
from service.domain.errors import HoldlineError, InvalidRequest, Violation
from service.domain.event import EventCommand, Taken, event_key
from service.domain.facts import FACTS
from service.domain.money import MINOR_MAX, is_currency_code
from service.engine.ports import Calendar, Call, Work
from service.rpc import validation
from service.rpc.dates import business_day
from service.rpc.status import status_of

QUARTER_US: Final = 900_000_000
NAMES: Final = ("RecordEvents", "StreamEvents")
_KINDS: Final = {kind.name.lower(): kind for kind in EventKind}


class EventCalls:
    """The calls of LimitService that take events, in bytes."""

    def __init__(self, calendar: Calendar) -> None:
        # Offsets of all zones are whole quarters of an hour, so a day never begins within one.
        self._day_of = lru_cache(maxsize=1 << 16)(lambda quarter: calendar.business_day(quarter * QUARTER_US))

    def work(self, _: str, call: Call) -> Work:
        """Build the commands of a call; raises InvalidRequest for the batch itself."""
        # The two requests have the same fields.
        events = limit_service_pb2.RecordEventsRequest.FromString(call.body).events
        if not 1 <= len(events) <= validation.BATCH_ITEMS_MAX:
            what = f"{len(events)} items; send 1 to {validation.BATCH_ITEMS_MAX}"
            raise InvalidRequest((Violation("events", what),))
        names = [(event.account_id, event.event_id) for event in events]
        if len(set(names)) != len(names):
            repeated = [
                Violation(f"events[{place}].event_id", "stands twice in this batch; send each event once")
                for place, name in enumerate(names)
                if name in names[:place]
            ]
            raise InvalidRequest(tuple(repeated))
        return Work([self._one(event, call) for event in events], [name for _, name in names])

    def response(self, _: str, work: Work, answers: Sequence[Answered | HoldlineError]) -> bytes:
        """Assemble the response of a call."""
        results = [
            event_pb2.EventResult(event_id=name, error=status_of(answer))
            if isinstance(answer, HoldlineError)
            else event_pb2.EventResult(event_id=name, replayed=isinstance(answer, Taken) and answer.replayed)
            for name, answer in zip(work.request_ids, answers, strict=True)
        ]
        return limit_service_pb2.RecordEventsResponse(results=results).SerializeToString()

    def _one(self, event: event_pb2.Event, call: Call) -> EventCommand | HoldlineError:
        event_id, account_id = event.event_id, event.account_id
        kind = _KINDS.get(event.WhichOneof("what") or "")
        occurred_us = validation.micros(event.occurred_at)
        violations = []
        if not validation.is_request_id(event_id):
            violations.append(Violation("event_id", f"{len(event_id)} characters; send 1 to 64 of printable ASCII"))
        if not validation.is_account_id(account_id):
            violations += validation.account_id_violations(account_id)
        if not 0 < occurred_us < validation.TIME_US_MAX:
            violations.append(Violation("occurred_at", "send when it happened"))
        if kind is None:
            violations.append(Violation("what", "send one of " + ", ".join(_KINDS)))
        if violations or kind is None:
            return InvalidRequest(tuple(violations))
        found, currency, currencies, violations = self._content(event, kind, occurred_us)
        if violations:
            return InvalidRequest(tuple(violations))
        print_of = validation.fingerprint(account_id, *found, currency, currencies)
        return EventCommand(
            call.caller, event_id, event_key(account_id, event_id), print_of, account_id, found, currency, currencies,
            call.trace_id, validation.CRITICALITIES[call.criticality],
        )  # fmt: skip

    def _content(
        self, event: event_pb2.Event, kind: EventKind, occurred_us: int
    ) -> tuple[Event, str, tuple[tuple[int, str], ...], list[Violation]]:
        """Give what happened, the amount's currency, those of facts, and violations."""
        day = self._day_of(occurred_us // QUARTER_US)
        if kind is EventKind.PROFILE_UPDATE:
            news, currencies, violations = validation.facts_of(event.profile_update.facts)
            violations += _not_told(news)
            return Event(kind, occurred_us, day, news=news), "", currencies, violations
        if kind is EventKind.MISUSE_FLAG:
            flag = event.misuse_flag
            bad = [] if validation.is_product(flag.finding) else [_FINDING]
            return Event(kind, occurred_us, day, flag=flag.finding, is_raised=not flag.is_cleared), "", (), bad
        if kind is EventKind.ENQUIRY:
            return Event(kind, occurred_us, day), "", (), []
        if kind is EventKind.TRANSACTION:
            amount, path = event.transaction.amount, "transaction.amount"
        elif kind is EventKind.REPAYMENT:
            amount, path = event.repayment.amount, "repayment.amount"
        else:
            amount, path = event.statement.amount, "statement.amount"
        plain = 0 < amount.minor_units <= MINOR_MAX and is_currency_code(amount.currency_code)
        violations = [] if plain else validation.money_violations(path, amount)
        due_day = 0
        if kind is EventKind.STATEMENT:
            due_day, wrong = _due_day(event.statement.due_date, day)
            violations += wrong
        elif not amount.minor_units:
            violations.append(Violation(f"{path}.minor_units", "0 moves nothing; send at least 1"))
        return Event(kind, occurred_us, day, amount.minor_units, due_day), amount.currency_code, (), violations


_FINDING: Final = Violation("misuse_flag.finding", "send 1 to 32 of [a-z0-9_-]")


def _not_told(news: validation.News) -> list[Violation]:
    """Give what an update can't tell, or that it tells nothing."""
    if not news:
        return [Violation("profile_update.facts", "tells nothing; send at least one fact")]
    return [
        Violation(f"profile_update.facts.{FACTS[fact].name}", "follows from events; send those")
        for fact, _ in news
        if fact in MAINTAINED
    ]


def _due_day(due_date: str, issued_day: int) -> tuple[int, list[Violation]]:
    try:
        due_day = business_day(due_date, "statement.due_date")
    except InvalidRequest as error:
        return 0, list(error.violations)
    if issued_day <= due_day <= issued_day + KEPT_DAYS:
        return due_day, []
    what = f"{due_date} is not from the date of issue to {KEPT_DAYS} days after it"
    return due_day, [Violation("statement.due_date", what)]
