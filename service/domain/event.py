"""Events: what a feed sends of an account, checked and taken once.

Promises that an event is taken at most once by its id, that one which lies ahead of the store's clock or further back
than the kept window is refused by name, and that nothing is half taken.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from service.domain.account import Account
from service.domain.behaviour import KEPT_DAYS, Event, taken
from service.domain.decision import Criticality, Moment
from service.domain.errors import EventTooOld, InvalidRequest, Violation
from service.domain.facts import FACTS

AHEAD_US: Final = 300_000_000
"""How far ahead of the store's clock an event may lie: five minutes, for clocks that differ."""


class EventCommand(NamedTuple):
    """One event to take, validated."""

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
    """The answer to an event: its id, and whether it had been taken before."""

    event_id: str
    replayed: bool


def event_key(account_id: str, event_id: str) -> str:
    """Join account and event id; an account's id holds no slash, so no two pairs share a key."""
    return f"{account_id}/{event_id}"


def take(command: EventCommand, account: Account, moment: Moment) -> Account:
    """Give an account after an event; raises InvalidRequest, EventTooOld or BehaviourFull."""
    event = command.event
    if _is_plain(command, account, moment):
        return Account(*account[:-1], behaviour=taken(account.behaviour, event, moment.business_day, moment.now_us))
    violations = []
    if event.occurred_us > moment.now_us + AHEAD_US:
        ahead = (event.occurred_us - moment.now_us) // 1_000_000
        violations.append(Violation("occurred_at", f"{ahead} seconds in the future; send what has happened"))
    violations += [
        Violation(f"{path}.currency_code", f"{code} is not the account's currency; send {account.currency}")
        for path, code in _currencies(command)
        if code != account.currency
    ]
    if violations:
        raise InvalidRequest(tuple(violations))
    days = moment.business_day - event.day
    raise EventTooOld(event_id=command.request_id, days=str(days), days_max=str(KEPT_DAYS - 1))


def _is_plain(command: EventCommand, account: Account, moment: Moment) -> bool:
    """Claim that nothing is wrong with an event."""
    event, currency = command.event, account.currency
    return (
        event.occurred_us <= moment.now_us + AHEAD_US
        and event.day > moment.business_day - KEPT_DAYS
        and (not command.currency or command.currency == currency)
        and all(code == currency for _, code in command.news_currencies)
    )


def _currencies(command: EventCommand) -> Iterator[tuple[str, str]]:
    """Give the paths and codes of a command's amounts."""
    if command.currency:
        yield f"{command.event.kind.name.lower()}.amount", command.currency
    for fact, code in command.news_currencies:
        yield f"profile_update.{FACTS[fact].name}", code
