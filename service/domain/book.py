"""The book of one batch: accounts, holds and recorded answers fetched before, what to write of them after.

Promises that commands take effect in order and see each other, and that what is refused leaves no mark.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service.domain.account import Account
from service.domain.decision import DecideCommand, Decided, Decision
from service.domain.draw import DrawCommand, Hold, Posted, Posting
from service.domain.entitlement import Entitlement
from service.domain.event import EventCommand, Taken
from service.domain.growing import Growing
from service.domain.notice import TEMPORARY_ENDS, Notice

Command = DecideCommand | DrawCommand | EventCommand
Recorded = Decided | Posted
"""What a key stands for."""


class Elsewhere(NamedTuple):
    """What a key stands for that a write beside decisions bears, such as feedback or an activation."""


ELSEWHERE = Elsewhere()
Answered = Recorded | Taken
"""What a command that was not refused is answered with."""

NUMBER_SHIFT = 10
"""A decision's number is its microsecond shifted left by this: numbers sort by time, and 1,024 fit in a microsecond."""


class Wanted(NamedTuple):
    """What a batch needs of the store: idempotency keys, accounts, holds by account and number, events by key."""

    keys: list[str]
    accounts: list[str]
    holds: list[tuple[str, int]]
    events: list[str]


def wanted(commands: Sequence[Command]) -> Wanted:
    """Give what commands need."""
    found = Wanted([], [command.account_id for command in commands], [], [])
    events = found.events
    for command in commands:
        if isinstance(command, EventCommand):
            events.append(command.key)
            continue
        found.keys.append(key_of(command.caller, command.request_id))
        if isinstance(command, DrawCommand) and command.hold_number:
            found.holds.append((command.account_id, command.hold_number))
    return found


class Book:
    """Accounts by id and answers by key, and what a batch changed of them."""

    __slots__ = (
        "accounts", "answers", "behaved", "changed", "changed_holds", "created", "decisions", "entitlements", "events",
        "holds", "last_number", "notices", "now_us", "postings", "taken", "withdrawn",
    )  # fmt: skip

    def __init__(
        self,
        accounts: dict[str, Account],
        answers: dict[str, Recorded | Elsewhere],
        holds: dict[int, Hold],
        taken: dict[str, bytes],
        last_number: int,
    ) -> None:
        self.accounts = accounts
        self.answers = answers
        self.holds = holds
        self.taken = taken
        """Fingerprints of events that were taken before or in this batch, by key."""
        self.last_number = last_number
        self.decisions: list[tuple[str, Decision]] = []
        """New decisions, each with its idempotency key, in order."""
        self.changed: set[str] = set()
        """Accounts that were in the store and have new content."""
        self.created: set[str] = set()
        """Accounts that were not in the store."""
        self.postings: list[tuple[str, Posting]] = []
        """New postings, each with its idempotency key, in order."""
        self.changed_holds: set[int] = set()
        self.entitlements: list[Entitlement] = []
        """What the new decisions settle of the promise ledger, in order."""
        self.events: list[EventCommand] = []
        """New events, in order."""
        self.behaved: set[str] = set()
        """Accounts whose behaviour has new content."""
        self.notices: list[Notice] = []
        """What customers are to be told, in order."""
        self.withdrawn: set[str] = set()
        """Accounts whose announced end of a temporary raise is taken back."""
        self.now_us = 0
        """When the notices were made."""

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to write."""
        return not self.decisions and not self.postings and not self.events

    @staticmethod
    def microsecond(number: int) -> int:
        """Give the time, in microseconds since the epoch UTC, at or after which a number was given."""
        return number >> NUMBER_SHIFT

    def enter(self, key: str, account: Account, decision: Decision) -> Decided:
        """Enter a decision that bears `next_number`, and the account after it, and give the answer."""
        assert decision.number > self.last_number, "a book's numbers grow"
        self.last_number = decision.number
        self._take(account)
        made = Decided(decision, account.product, account.currency, replayed=False)
        self.answers[key] = made
        self.decisions.append((key, decision))
        return made

    def enter_posting(self, key: str, account: Account, posting: Posting) -> Posted:
        """Enter a posting, its hold and the account after it, and give the answer with its number."""
        number = self.last_number = self.next_number(posting.posted_us)
        hold = posting.hold
        if hold is not None:
            if not hold.number:
                hold = hold._replace(number=number)
                account = account._replace(holds=(*account.holds[:-1], account.holds[-1]._replace(number=number)))
            self.holds[hold.number] = hold
            self.changed_holds.add(hold.number)
        self._take(account._replace(last_posting=number))
        numbered = posting._replace(number=number, hold=hold)
        made = Posted(numbered, account.product, account.currency, replayed=False)
        self.answers[key] = made
        self.postings.append((key, numbered))
        return made

    def enter_events(self, events: Sequence[EventCommand], growing: Mapping[str, Growing]) -> None:
        """Enter events that `taken` knows already, and what they made of the behaviour of their accounts."""
        self.events += events
        for account_id in {event.account_id for event in events}:
            self.behaved.add(account_id)
            account = self.accounts[account_id]
            self.accounts[account_id] = account._replace(behaviour=growing[account_id].behaviour())

    def tell(self, kind: str, account_id: str, record: int, now_us: int) -> None:
        """Enter a notice about a decision or posting, due at once."""
        self.notices.append(Notice(kind, account_id, record, now_us))
        self.now_us = now_us

    def withdraw(self, account_id: str) -> None:
        """Take back the announced end of an account's temporary raise, of this batch or of before."""
        self.withdrawn.add(account_id)
        self.notices = [one for one in self.notices if (one.kind, one.account_id) != (TEMPORARY_ENDS, account_id)]

    def next_number(self, now_us: int) -> int:
        """Give the number of the next record that is entered, at a time in microseconds since the epoch UTC."""
        return max(self.last_number + 1, now_us << NUMBER_SHIFT)

    def _take(self, account: Account) -> None:
        account_id = account.account_id
        if account_id in self.accounts:
            if account_id not in self.created:
                self.changed.add(account_id)
        else:
            self.created.add(account_id)
        self.accounts[account_id] = account


def key_of(caller: str, request_id: str) -> str:
    """Join caller and request id; a caller's name holds no slash, so no two pairs share a key."""
    return f"{caller}/{request_id}"


def beside(now_us: int) -> int:
    """Give the number of a key that a write beside decisions enters at a time: negative, so it is no decision's."""
    return -max(now_us, 1)


def outcome_of(answered: Answered) -> str:
    """Name what came of a command."""
    if isinstance(answered, Taken):
        return "EVENT_TAKEN"
    return (answered.posting.outcome if isinstance(answered, Posted) else answered.decision.outcome).name
