"""Events: what a feed sends of an account, checked and taken once.

Promises that an event is taken at most once by its id, that one which lies ahead of the store's clock or further back
than the kept window is refused by name, and that nothing is half taken.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from service.domain.account import Account
from service.domain.behaviour import KEPT_DAYS, Event
from service.domain.decision import Criticality, Moment
from service.domain.errors import EventTooOld, InvalidRequest, Violation
from service.domain.facts import FACTS

AHEAD_US: Final = 300_000_000
"""How far ahead of the store's clock an event may lie: five minutes, for clocks that differ."""


@dataclass(slots=True)
class EventCommand:
    """One event to take, validated. Slots, like Event: its fields are read in each step from check to store."""

    caller: str
    request_id: str
    """The event's id, unique per account."""
    key: str
    """Account and event id, as `event_key` joins them."""
    fingerprint: bytes
    account_id: str
    event: Event
    currency: str
    """Of the amount; empty where there is none."""
    news_currencies: tuple[tuple[int, str], ...]
    """Pairs of money fact index and ISO 4217 code, to be held against the account's."""
    trace_id: str
    criticality: Criticality = Criticality.INTERACTIVE


class Taken(NamedTuple):
    """The answer to an event: whether it had been taken before."""

    replayed: bool


TAKEN: Final = Taken(replayed=False)
TAKEN_BEFORE: Final = Taken(replayed=True)


def event_key(account_id: str, event_id: str) -> str:
    """Join account and event id; an account's id holds no slash, so no two pairs share a key."""
    return f"{account_id}/{event_id}"


def check(command: EventCommand, account: Account, moment: Moment) -> None:
    """Hold an event against its account and the time; raises InvalidRequest or EventTooOld."""
    event, currency = command.event, command.currency
    if (
        event.occurred_us > moment.now_us + AHEAD_US
        or (currency and currency != account.currency)
        or command.news_currencies
    ):
        _refuse(command, account, moment)
    if event.day <= moment.business_day - KEPT_DAYS:
        days = moment.business_day - event.day
        raise EventTooOld(event_id=command.request_id, days=str(days), days_max=str(KEPT_DAYS - 1))


def _refuse(command: EventCommand, account: Account, moment: Moment) -> None:
    """Refuse an event that lies ahead, and foreign currencies; raises InvalidRequest."""
    event, violations = command.event, []
    if event.occurred_us > moment.now_us + AHEAD_US:
        ahead = (event.occurred_us - moment.now_us) // 1_000_000
        violations.append(Violation("occurred_at", f"{ahead} seconds in the future; send what has happened"))
    if command.currency and command.currency != account.currency:
        violations.append(_foreign(f"{event.kind.name.lower()}.amount", command.currency, account))
    for fact, code in command.news_currencies:
        if code != account.currency:
            violations.append(_foreign(f"profile_update.facts.{FACTS[fact].name}", code, account))
    if violations:
        raise InvalidRequest(tuple(violations))


def _foreign(path: str, code: str, account: Account) -> Violation:
    what = f"{code} is not the account's currency; send {account.currency}"
    return Violation(f"{path}.currency_code", what)
