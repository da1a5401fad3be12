"""LimitService's behaviour events: from what a feed sends to commands, and results back.

Promises the four moves of an adapter: check, build, call, assemble. Events are taken in batches by `engine.execute`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from holdline.v1 import event_pb2, limit_service_pb2, money_pb2

from service.domain.behaviour import KEPT_DAYS, MAINTAINED, Event, EventKind
from service.domain.book import Answered, Command
from service.domain.decision import Criticality
from service.domain.errors import HoldlineError, InvalidRequest, Violation
from service.domain.event import EventCommand, Taken, event_key
from service.domain.facts import FACTS
from service.domain.money import MINOR_MAX, is_currency_code
from service.engine.ports import Calendar, Call, Work
from service.rpc import validation, wire
from service.rpc.dates import business_day
from service.rpc.status import status_of

QUARTER_US: Final = 900_000_000
NAMES: Final = ("RecordEvents", "StreamEvents")


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
        day_of, criticality = self._day_of, validation.CRITICALITIES[call.criticality]
        found: list[Command | HoldlineError] = [
            _one(event, name, day_of, call.caller, call.trace_id, criticality)
            for event, name in zip(events, names, strict=True)
        ]
        return Work(found, [event_id for _, event_id in names])

    def response(self, _: str, work: Work, answers: Sequence[Answered | HoldlineError]) -> bytes:
        """Assemble the response of a call."""
        return b"".join(
            [wire.field(b"\x0a", _result(name, answer)) for name, answer in zip(work.request_ids, answers, strict=True)]
        )


def _one(
    event: event_pb2.Event, name: tuple[str, str], day_of: Callable[[int], int], caller: str, trace_id: str,
    criticality: Criticality,
) -> EventCommand | HoldlineError:  # fmt: skip
    account_id, event_id = name
    which = event.WhichOneof("what")
    occurred_us = validation.micros(event.occurred_at)
    if (
        which is None
        or not validation.is_request_id(event_id)
        or not validation.is_account_id(account_id)
        or not 0 < occurred_us < validation.TIME_US_MAX
    ):
        return InvalidRequest(tuple(_violations(account_id, event_id, which, occurred_us)))
    found, currency, currencies, violations = _READERS[which](event, occurred_us, day_of(occurred_us // QUARTER_US))
    if violations:
        return InvalidRequest(tuple(violations))
    return EventCommand(
        caller, event_id, event_key(account_id, event_id),
        validation.fingerprint(account_id, *found, currency, currencies), account_id, found, currency, currencies,
        trace_id, criticality,
    )  # fmt: skip


def _violations(account_id: str, event_id: str, which: str | None, occurred_us: int) -> list[Violation]:
    """Give what is wrong with an event, whatever it tells."""
    violations = []
    if not validation.is_request_id(event_id):
        violations.append(Violation("event_id", f"{len(event_id)} characters; send 1 to 64 of printable ASCII"))
    violations += validation.account_id_violations(account_id)
    if not 0 < occurred_us < validation.TIME_US_MAX:
        violations.append(Violation("occurred_at", "send when it happened"))
    if which is None:
        violations.append(Violation("what", "send one of " + ", ".join(_READERS)))
    return violations


def _result(event_id: str, answer: Answered | HoldlineError) -> bytes:
    """Write an EventResult by hand: from generated classes it takes three times as long."""
    content = wire.field(b"\x0a", event_id.encode())
    if isinstance(answer, HoldlineError):
        return content + wire.field(b"\x1a", status_of(answer).SerializeToString())
    return content + b"\x10\x01" if isinstance(answer, Taken) and answer.replayed else content


Content = tuple[Event, str, tuple[tuple[int, str], ...], Sequence[Violation]]
"""What happened, the amount's currency, those of facts, and what is wrong with it."""


def _amount_violations(amount: money_pb2.Money, path: str) -> list[Violation]:
    violations = validation.money_violations(path, amount)
    if not amount.minor_units:
        violations.append(Violation(f"{path}.minor_units", "0 moves nothing; send at least 1"))
    return violations


def _moved(kind: EventKind, amount: money_pb2.Money, occurred_us: int, day: int) -> Content:
    minor, currency = amount.minor_units, amount.currency_code
    is_plain = 0 < minor <= MINOR_MAX and is_currency_code(currency)
    violations = () if is_plain else _amount_violations(amount, f"{kind.name.lower()}.amount")
    return Event(kind, occurred_us, day, minor), currency, (), violations


def _transaction(event: event_pb2.Event, occurred_us: int, day: int) -> Content:
    return _moved(EventKind.TRANSACTION, event.transaction.amount, occurred_us, day)


def _repayment(event: event_pb2.Event, occurred_us: int, day: int) -> Content:
    return _moved(EventKind.REPAYMENT, event.repayment.amount, occurred_us, day)


def _statement(event: event_pb2.Event, occurred_us: int, day: int) -> Content:
    amount = event.statement.amount
    due_day, violations = _due_day(event.statement.due_date, day)
    violations = [*validation.money_violations("statement.amount", amount), *violations]
    return (
        Event(EventKind.STATEMENT, occurred_us, day, amount.minor_units, due_day),
        amount.currency_code,
        (),
        violations,
    )


def _enquiry(_: event_pb2.Event, occurred_us: int, day: int) -> Content:
    return Event(EventKind.ENQUIRY, occurred_us, day), "", (), ()


def _misuse_flag(event: event_pb2.Event, occurred_us: int, day: int) -> Content:
    flag = event.misuse_flag
    violations = () if validation.is_product(flag.finding) else (_FINDING,)
    told = Event(EventKind.MISUSE_FLAG, occurred_us, day, flag=flag.finding, is_raised=not flag.is_cleared)
    return told, "", (), violations


def _profile_update(event: event_pb2.Event, occurred_us: int, day: int) -> Content:
    news, currencies, wrong = validation.facts_of(event.profile_update.facts)
    violations = [Violation(f"profile_update.{one.field}", one.description) for one in wrong]
    violations += _not_told(news)
    return Event(EventKind.PROFILE_UPDATE, occurred_us, day, news=news), "", currencies, violations


_READERS: Final[dict[str, Callable[[event_pb2.Event, int, int], Content]]] = {
    "transaction": _transaction, "enquiry": _enquiry, "profile_update": _profile_update, "misuse_flag": _misuse_flag,
    "statement": _statement, "repayment": _repayment,
}  # fmt: skip
"""What reads each kind of event: the event, its time, its business day."""
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
