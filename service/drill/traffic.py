"""Live synthetic traffic for a drill: customers, what is true of them, and what a feed says instead.

Promises stationary traffic before the incident: every customer is drawn once, and some of them ask for a second raise
on the same day and are told to wait. All drawn from the seed.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from service.domain.decision import DecideCommand, Kind
from service.domain.facts import INDEX

CALLER: Final = "drill"
SHARES: Final = ((Kind.REVIEW, 40), (Kind.RAISE, 40), (Kind.ASSIGN, 20))
ASK_AGAIN: Final = 0.4
"""Share of raise requests by customers whose limit was raised earlier in the day."""

Facts = dict[str, int]
Feed = Callable[[Facts], Facts]


class Person(NamedTuple):
    """One customer: account, limit (minor units, 0 for somebody new), debt, and what is true of them."""

    account_id: str
    limit_minor: int
    outstanding_minor: int
    facts: Facts


class Asked(NamedTuple):
    """One decision to make, and the customer whom it is about."""

    command: DecideCommand
    person: Person


def completed(facts: Facts, limit_minor: int, rng: random.Random) -> Facts:
    """Draw what a source of accounts doesn't know, around what it does: bureau, income, identity, use."""
    late = facts.get("late_months_12m", 0)
    drawn = {
        "bureau_score": max(min(int(rng.gauss(700 - 45 * late, 60)), 900), 450),
        "monthly_income": int(limit_minor * rng.uniform(0.3, 0.9)) // 100 * 100,
        "identity_level": rng.choices((1, 2, 3), (1, 6, 3))[0],
        "enquiries_30d": min(int(rng.expovariate(0.6)), 20),
        "employment_months": rng.randrange(240),
        "profile_completeness_bp": rng.randrange(4_000, 10_001),
        "transactions_30d": min(int(rng.expovariate(0.1)), 200),
        "mean_transaction": int(rng.lognormvariate(9.5, 0.8)),
        "on_time_streak_months": 6,
        "payment_ratio_bp": rng.randrange(200, 10_001),
        "dpd_now": 0,
        "dpd_max_12m": 0,
        "late_months_12m": 0,
        "misuse_flags": 0,
    }
    return {**drawn, **facts}


def pairs(facts: Facts) -> tuple[tuple[int, int], ...]:
    """Give facts as the engine takes them."""
    return tuple((INDEX[name], value) for name, value in facts.items())


class Traffic:
    """Decisions to make, one after the other."""

    def __init__(self, people: Sequence[Person], product: str, seed: int) -> None:
        self._rng = random.Random(seed)
        self._product = product
        self._people = list(people)
        self._rng.shuffle(self._people)
        self._raised: list[Person] = []
        self._asked = 0
        self.feed: Feed = dict

    def imports(self, currency: str) -> Iterator[DecideCommand]:
        """Give the commands that take everybody over as they are."""
        for person in self._people:
            yield self._command(person, Kind.IMPORT, f"take-over-{person.account_id}")._replace(
                import_limit_minor=person.limit_minor, import_outstanding_minor=person.outstanding_minor,
                import_currency=currency,
            )  # fmt: skip

    def _command(self, person: Person, kind: Kind, request_id: str) -> DecideCommand:
        product = self._product if kind in (Kind.ASSIGN, Kind.IMPORT) else ""
        return DecideCommand(
            CALLER, request_id, request_id.encode(), person.account_id, product, kind, pairs(self.feed(person.facts)),
            (), 0, "",
        )  # fmt: skip

    def ask(self) -> Asked | None:
        """Give the next decision to make; nothing once everybody had their turn."""
        kind = self._rng.choices([kind for kind, _ in SHARES], [share for _, share in SHARES])[0]
        if kind is Kind.RAISE and self._raised and self._rng.random() < ASK_AGAIN:
            person = self._rng.choice(self._raised)
        elif self._people:
            person = self._people.pop()
            if kind is Kind.ASSIGN:
                person = person._replace(account_id=f"new-{person.account_id}")
        else:
            return None
        self._asked += 1
        return Asked(self._command(person, kind, f"drill-{self._asked}"), person)

    def raised(self, person: Person) -> None:
        """Take note of a raise: this customer may ask again today."""
        self._raised.append(person)
