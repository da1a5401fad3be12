"""The book of one batch: accounts and recorded answers fetched before, decisions and accounts to write after.

Promises that commands take effect in order and see each other, and that what is refused leaves no mark.
"""

from service.domain.account import Account
from service.domain.decision import Decided, Decision

NUMBER_SHIFT = 10
"""A decision's number is its microsecond shifted left by this: numbers sort by time, and 1,024 fit in a microsecond."""


class Book:
    """Accounts by id and answers by key, and what a batch changed of them."""

    __slots__ = ("accounts", "answers", "changed", "created", "decisions", "last_number")

    def __init__(self, accounts: dict[str, Account], answers: dict[str, Decided], last_number: int) -> None:
        self.accounts = accounts
        self.answers = answers
        self.last_number = last_number
        self.decisions: list[tuple[str, Decision]] = []
        """New decisions, each with its idempotency key, in order."""
        self.changed: set[str] = set()
        """Accounts that were in the store and have new content."""
        self.created: set[str] = set()
        """Accounts that were not in the store."""

    @staticmethod
    def microsecond(number: int) -> int:
        """Give the time, in microseconds since the epoch UTC, at or after which a number was given."""
        return number >> NUMBER_SHIFT

    def enter(self, key: str, account: Account, decision: Decision) -> Decided:
        """Enter a decision and the account after it, and give the answer with its number."""
        self.last_number = max(self.last_number + 1, decision.decided_us << NUMBER_SHIFT)
        # Rebuilt by position: `_replace` costs three times as much, and this runs for every decision.
        numbered = Decision(self.last_number, *decision[1:])
        after = Account(*account[:12], self.last_number, account.chain)
        account_id = account.account_id
        if account_id in self.accounts:
            if account_id not in self.created:
                self.changed.add(account_id)
        else:
            self.created.add(account_id)
        self.accounts[account_id] = after
        answer = Decided(numbered, account.product, account.currency, replayed=False)
        self.answers[key] = Decided(numbered, account.product, account.currency, replayed=True)
        self.decisions.append((key, numbered))
        return answer


def key_of(caller: str, request_id: str) -> str:
    """Join caller and request id; a caller's name holds no slash, so no two pairs share a key."""
    return f"{caller}/{request_id}"
