"""The stage of a drill: a private copy of a store, the engine's parts and a sentry over it, and a clock that is turned.

Promises that the store it was copied from is only read.
"""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from service import bootstrap, population
from service.domain.account import Account, Status
from service.domain.book import Book
from service.domain.clock import Reading
from service.domain.facts import FACTS
from service.domain.policy import Policy
from service.drill.rehearsal import PEOPLE, Rehearsal, Stage
from service.drill.scenarios import BROKEN_VERSION, Bug
from service.drill.traffic import Person, completed
from service.engine.ports.codec import Answer, Call, Codec
from service.engine.ports.ledger import Ledger
from service.settings import Settings
from service.storage import opening
from service.telemetry import sentry_meters

GUARDS: Final = "cut_rate=freeze_reductions"
"""In a drill this guard acts by itself and the others recommend, so that both ways are rehearsed."""
SHARD_ACCOUNTS: Final = 2_000
"""Small enough for a drill's population to lie in several shards."""
TEMPLATES_MAX: Final = 20_000


class SteppedClock:
    """A machine's clocks, which stand until they are turned; microseconds since the epoch UTC."""

    def __init__(self, time_us: int) -> None:
        self.time_us = time_us
        self.off_us = 0

    def read(self) -> Reading:
        """Read them: time passes as it is turned, and the machine's clock may be off."""
        return Reading(self.time_us + self.off_us, self.time_us, "drill")


class BuggyReader:
    """Compiles policies, the broken version with a bug."""

    def __init__(self) -> None:
        self.bug: Bug | None = None

    def read(self, document: str, *, is_new: bool = False) -> tuple[Policy, str]:
        """Compile a document."""
        policy, content_hash = bootstrap.read_policy(document, is_new=is_new)
        if self.bug is not None and policy.version == BROKEN_VERSION:
            policy = self.bug(replace(policy))
        return policy, content_hash


class DirectLine:
    """The sentry's line to an engine of the same process."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def ask(self, method: int, caller: str, body: bytes) -> Answer:
        """Ask one call."""
        return self._codec.query(Call(method, caller, time.monotonic_ns() // 1_000, "", body))


@contextmanager
def rehearsing(source: str, seed: int) -> Iterator[Rehearsal]:
    """Prepare a drill with traffic on a copy of a store (empty: on a new store with synthetic customers)."""
    with staging(source, seed) as (stage, people):
        yield Rehearsal(stage, people, seed)


@contextmanager
def staging(source: str, seed: int) -> Iterator[tuple[Stage, list[Person]]]:
    """Prepare a stage and the customers of a drill."""
    settings = Settings(guards_activate=GUARDS, run_shard_accounts=SHARD_ACCOUNTS)
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdline-drill-"))) / "holdline.db"
        product, people = population.PRODUCT, list(_synthetic(seed))
        if source:
            opening.copy_store(source, path, bootstrap.now_us)
            with opening.open_ledger(f"{opening.SQLITE}{path}", bootstrap.now_us) as ledger:
                product, people = _of_store(ledger, seed) or (product, people)
        store = opening.open_store(f"{opening.SQLITE}{path}", bootstrap.now_us)
        stack.callback(store.close)
        # A copy goes on from the time of its store, however old it is.
        kept, newest_us = store.clock.kept(), Book.microsecond(store.control().last_number)
        clock = SteppedClock(max(bootstrap.now_us() if kept is None else kept.time_us - kept.owed_us, newest_us))
        reader = BuggyReader()
        parts = bootstrap.make_parts(store, settings, reader.read, clock.read)
        sentry, _ = bootstrap.make_sentry(store, DirectLine(parts.codec), settings, store.now_us, sentry_meters(None))
        yield Stage(store, clock, reader, parts, sentry, product), _enough(people)


def _enough(people: Sequence[Person]) -> list[Person]:
    """Give as many customers as a drill needs, each as an account of the drill's own."""
    return [person._replace(account_id=f"drill-{place}") for place, person in enumerate(islice(cycle(people), PEOPLE))]


def _synthetic(seed: int) -> Iterator[Person]:
    rng = random.Random(seed)
    for customer in population.synthetic(PEOPLE, seed):
        facts = completed(customer.facts, customer.limit_minor, rng)
        yield Person(customer.account_id, customer.limit_minor, customer.outstanding_minor, facts)


def _of_store(ledger: Ledger, seed: int) -> tuple[str, list[Person]] | None:
    """Give the product that most customers of a store hold, and its customers; nothing where there are none."""
    rng = random.Random(seed)
    accounts = [one for one in islice(ledger.accounts(), TEMPLATES_MAX) if one.status is Status.ACTIVE]
    if not accounts:
        return None
    product = Counter(one.product for one in accounts).most_common(1)[0][0]
    return product, [_person(one, rng) for one in accounts if one.product == product]


def _person(account: Account, rng: random.Random) -> Person:
    known = {
        definition.name: value
        for definition, value in zip(FACTS, account.profile.values, strict=True)
        if value is not None
    }
    facts = completed(known, account.limit_minor, rng)
    return Person(account.account_id, account.limit_minor, account.outstanding_minor, facts)
