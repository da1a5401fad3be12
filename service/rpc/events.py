"""EventService: from what a feed sends to commands, and results back.

Promises the four moves of an adapter: check, build, call, assemble. Events are taken in batches by `engine.execute`.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

from holdline.v1 import event_pb2, event_service_pb2, money_pb2

from service.domain.behaviour import KEPT_DAYS, MAINTAINED, Event, EventKind
from service.domain.book import Answered, Command
from service.domain.errors import HoldlineError, InvalidRequest, Violation
from service.domain.event import TAKEN, EventCommand, event_key
from service.domain.facts import FACTS
from service.domain.money import MINOR_MAX, is_currency
from service.engine.ports.calendar import Calendar
from service.engine.ports.codec import Call, Work
from service.rpc import commands, fields, wire
from service.rpc.commands import fingerprint
from service.rpc.dates import FIRST_SECOND, LAST_SECOND, NANOS_MAX, business_day, time_violations
from service.rpc.fields import is_account_id, is_request_id
from service.rpc.methods import EVENTS
from service.rpc.status import ITEM_STATUS_BYTES_MAX, named, status_of

QUARTER_US: Final = 900_000_000
PATHS: Final = (f"{EVENTS}RecordEvents", f"{EVENTS}StreamEvents")


Content = tuple[Event, str, tuple[tuple[int, str], ...]]
"""What happened, the amount's currency, and those of facts."""


class EventCalls:
    """The calls of EventService, in bytes."""

    def __init__(self, calendar: Calendar) -> None:
        # Offsets of all zones are whole quarters of an hour, so a day never begins within one.
        self._day_of = lru_cache(maxsize=1 << 16)(lambda quarter: calendar.business_day(quarter * QUARTER_US))

    def work(self, _: str, call: Call) -> Work:
        """Build the commands of a call; raises InvalidRequest for the batch itself."""
        # The two requests have the same fields.
        events = event_service_pb2.RecordEventsRequest.FromString(call.body).events
        if not 1 <= len(events) <= fields.BATCH_ITEMS_MAX:
            what = f"{len(events)} items; send 1 to {fields.BATCH_ITEMS_MAX}"
            raise InvalidRequest((Violation("events", what),))
        caller, trace_id, criticality = call.caller, call.trace_id, commands.CRITICALITIES[call.criticality]
        keys, event_ids, day_of = [], [], self._day_of
        found: list[Command | HoldlineError] = []
        for event in events:
            account_id, event_id = event.account_id, event.event_id
            key = event_key(account_id, event_id)
            keys.append(key)
            event_ids.append(event_id)
            which, occurred_at = event.WhichOneof("what"), event.occurred_at
            seconds, nanos = occurred_at.seconds, occurred_at.nanos
            try:
                if (
                    which is None
                    or not is_request_id(event_id)
                    or not is_account_id(account_id)
                    or not (FIRST_SECOND <= seconds <= LAST_SECOND and 0 <= nanos <= NANOS_MAX)
                ):
                    _refuse(event)
                occurred_us = seconds * 1_000_000 + nanos // 1_000
                kind, read = _READERS[which]
                told, currency, currencies = read(
                    getattr(event, which), kind, occurred_us, day_of(occurred_us // QUARTER_US)
                )
            except InvalidRequest as refusal:
                found.append(refusal)
                continue
            meant = fingerprint(
                account_id, told.kind, told.occurred_us, told.day, told.amount_minor, told.due_day, told.flag,
                told.is_raised, told.news, currency, currencies,
            )  # fmt: skip
            found.append(
                EventCommand(
                    caller, event_id, key, meant, account_id, told, currency, currencies, trace_id, criticality
                )
            )
        if len(set(keys)) != len(keys):
            _refuse_repeated(events)
        return Work(found, event_ids, [event.account_id for event in events])

    def response(self, _: str, work: Work, answers: Sequence[Answered | HoldlineError]) -> bytes:
        """Assemble the response of a call."""
        return b"".join(
            [
                _taken(event_id.encode(), account_id.encode())
                if answer is TAKEN
                else _result(event_id, account_id, answer)
                for event_id, account_id, answer in zip(work.request_ids, work.asides, answers, strict=True)
            ]
        )


def _refuse_repeated(events: Iterable[event_pb2.Event]) -> None:
    """Raise InvalidRequest that names the events whose account and id stand before them already."""
    seen: set[tuple[str, str]] = set()
    violations = []
    for place, event in enumerate(events):
        name = event.account_id, event.event_id
        if name in seen:
            what = "stands twice in this batch; send each event once"
            violations.append(Violation(f"events[{place}].event_id", what))
        seen.add(name)
    fields.refuse(violations)


def _refuse(event: event_pb2.Event) -> NoReturn:
    """Raise InvalidRequest with what is wrong with an event, whatever it tells."""
    event_id, violations = event.event_id, []
    if not is_request_id(event_id):
        violations.append(Violation("event_id", fields.spelled(event_id, 64, "printable ASCII", is_request_id)))
    violations += fields.account_id_violations(event.account_id)
    violations += time_violations("occurred_at", event.occurred_at)
    if event.WhichOneof("what") is None:
        violations.append(Violation("what", "send one of " + ", ".join(_READERS)))
    raise InvalidRequest(tuple(violations))


def _taken(event_id: bytes, account_id: bytes) -> bytes:
    """Write the EventResult of an event that was taken, by hand, with tag and length: most are."""
    length, further = len(event_id), len(account_id)
    return b"\x0a%b\x0a%c%b\x12%c%b" % (wire.varint(length + further + 4), length, event_id, further, account_id)


def _result(event_id: str, account_id: str, answer: Answered | HoldlineError) -> bytes:
    """Write an EventResult by hand, with tag and length: from generated classes it takes three times as long."""
    content = wire.field(b"\x0a", named(event_id)) + wire.field(b"\x12", named(account_id))
    if isinstance(answer, HoldlineError):
        content += wire.field(b"\x22", status_of(answer, ITEM_STATUS_BYTES_MAX).SerializeToString())
    else:
        content += b"\x18\x01"
    return wire.field(b"\x0a", content)


def _refuse_amount(amount: money_pb2.Money, path: str) -> None:
    violations = fields.money_violations(path, amount)
    if not amount.minor_units:
        violations.append(Violation(f"{path}.minor_units", "0 moves nothing; send at least 1"))
    fields.refuse(violations)


def _moved(moved: event_pb2.Transaction | event_pb2.Repayment, kind: EventKind, occurred_us: int, day: int) -> Content:
    amount = moved.amount
    minor, currency = amount.minor_units, amount.currency_code
    if not (0 < minor <= MINOR_MAX and is_currency(currency)):
        _refuse_amount(amount, f"{kind.name.lower()}.amount")
    return Event(kind, occurred_us, day, minor), currency, ()


def _statement(statement: event_pb2.Statement, kind: EventKind, occurred_us: int, day: int) -> Content:
    amount = statement.amount
    due_day, violations = _due_day(statement.due_date, day)
    fields.refuse([*fields.money_violations("statement.amount", amount), *violations])
    return Event(kind, occurred_us, day, amount.minor_units, due_day), amount.currency_code, ()


def _enquiry(_: event_pb2.Enquiry, kind: EventKind, occurred_us: int, day: int) -> Content:
    return Event(kind, occurred_us, day), "", ()


def _misuse_flag(flag: event_pb2.MisuseFlag, kind: EventKind, occurred_us: int, day: int) -> Content:
    if not fields.is_product(flag.finding):
        raise InvalidRequest((Violation("misuse_flag.finding", "send 1 to 32 of [a-z0-9_-]"),))
    return Event(kind, occurred_us, day, flag=flag.finding, is_raised=not flag.is_cleared), "", ()


def _profile_update(update: event_pb2.ProfileUpdate, kind: EventKind, occurred_us: int, day: int) -> Content:
    news, currencies, wrong = fields.facts_of(update.facts)
    violations = [Violation(f"profile_update.{one.field}", one.description) for one in wrong]
    fields.refuse(violations + _not_told(news))
    return Event(kind, occurred_us, day, news=news), "", currencies


_READERS: Final[dict[str, tuple[EventKind, Callable[[Any, EventKind, int, int], Content]]]] = {
    "transaction": (EventKind.TRANSACTION, _moved),
    "enquiry": (EventKind.ENQUIRY, _enquiry),
    "profile_update": (EventKind.PROFILE_UPDATE, _profile_update),
    "misuse_flag": (EventKind.MISUSE_FLAG, _misuse_flag),
    "statement": (EventKind.STATEMENT, _statement),
    "repayment": (EventKind.REPAYMENT, _moved),
}
"""What each field of `what` stands for, and what reads it: from its content, kind, time and business day."""


def _not_told(news: fields.News) -> list[Violation]:
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
