"""What a load asks: a population, and requests drawn for it with keys of their own.

Promises the same requests for the same scenario and seed, except for captures, which need holds that were granted.
"""

import bisect
import random
from collections import deque
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final, NamedTuple

from holdline.client import Client, HoldlineError, money
from holdline.client.requests import event
from holdline.v1 import (
    account_service_pb2,
    decision_pb2,
    draw_pb2,
    draw_service_pb2,
    event_pb2,
    event_service_pb2,
    limit_service_pb2,
)

from loadtests import bodies
from loadtests.scenario import Population, Rpc, Scenario

BATCH_ITEMS: Final = 20
EVENTS_A_CALL: Final = 10
HOLDS_KEPT: Final = 1_000
IMPORT_ITEMS: Final = 500
CURRENCY: Final = "CNY"
HOT: Final = 0
"""Number of the account that takes a share of its own."""
_CONTRACT: Final = "/holdline.v1."
PATHS: Final = {
    Rpc.DECIDE: f"{_CONTRACT}LimitService/Decide",
    Rpc.ASSIGN: f"{_CONTRACT}LimitService/Decide",
    Rpc.AUTHORIZE: f"{_CONTRACT}DrawService/AuthorizeDraw",
    Rpc.CAPTURE: f"{_CONTRACT}DrawService/CaptureDraw",
    Rpc.EVENTS: f"{_CONTRACT}EventService/RecordEvents",
    Rpc.BATCH: f"{_CONTRACT}LimitService/BatchDecide",
    Rpc.ACCOUNT: f"{_CONTRACT}AccountService/GetAccount",
}  # fmt: skip
"""Method of each RPC."""


class Asked(NamedTuple):
    """A request as it is sent: key, body, and whether the account has a share of the traffic of its own."""

    rpc: Rpc
    key: str
    body: bytes
    is_hot: bool


def account_name(number: int) -> str:
    """Name an account of a load's population."""
    return f"load-{number:07d}"


def take_over(client: Client, population: Population, seed: int) -> int:
    """Take the population over, with limits and debts; gives how many were new. Those of an earlier run stay."""
    rng = random.Random(seed)
    made = 0
    for start in range(0, population.accounts, IMPORT_ITEMS):
        batch = [
            account_service_pb2.ImportAccount(
                request_id=f"take-{number}", account_id=account_name(number), product="revolving",
                limit=money(rng.randrange(500_000, 5_000_000), CURRENCY), facts=bodies.facts(rng),
            )
            for number in range(start, min(start + IMPORT_ITEMS, population.accounts))
        ]  # fmt: skip
        for answer in client.import_accounts(batch):
            if isinstance(answer, HoldlineError):
                if answer.reason not in ("ACCOUNT_EXISTS", "IDEMPOTENCY_KEY_REUSED"):
                    raise answer
            elif not answer.replayed:
                made += 1
    return made


class Traffic:
    """Draws requests of a scenario, for one of its generators."""

    def __init__(self, scenario: Scenario, share: str, caller: str) -> None:
        """`share` names this generator's requests, so that no two share a key; `caller` its new customers."""
        self._caller = caller
        self._rng = random.Random(f"{scenario.seed}/{share}")
        self._share = share
        self._population = scenario.population
        self._rpcs = list(scenario.mix)
        self._weights = list(accumulate(scenario.mix.values()))
        self._zipf: list[float] = []
        if scenario.population.zipf:
            ranks = range(1, scenario.population.accounts + 1)
            self._zipf = list(accumulate(rank**-scenario.population.zipf for rank in ranks))
        self._number = 0
        self._holds: deque[tuple[str, str, int]] = deque(maxlen=HOLDS_KEPT)
        self._now = datetime.now(UTC)

    def draw(self) -> Rpc:
        """Draw which RPC the next call is of."""
        return self._rpcs[bisect.bisect(self._weights, self._rng.random() * self._weights[-1])]

    def ask(self, rpc: Rpc) -> Asked:
        """Draw a request of one RPC."""
        self._number += 1
        key = f"{self._share}-{self._number}"
        number = self._account()
        account_id = account_name(number)
        if rpc is Rpc.CAPTURE:
            if not self._holds:
                return self.ask(Rpc.AUTHORIZE)
            account_id, hold_id, amount = self._holds.popleft()
            body = draw_service_pb2.CaptureDrawRequest(
                request_id=key, account_id=account_id, hold_id=hold_id, amount=money(amount, CURRENCY), is_final=True
            ).SerializeToString()
        else:
            body = self._body(rpc, key, account_id)
        return Asked(rpc, key, body, bool(self._population.hot_share) and number == HOT)

    def _account(self) -> int:
        rng, population = self._rng, self._population
        if population.hot_share and rng.random() < population.hot_share:
            return HOT
        if self._zipf:
            return bisect.bisect(self._zipf, rng.random() * self._zipf[-1])
        return rng.randrange(population.accounts)

    def _body(self, rpc: Rpc, key: str, account_id: str) -> bytes:
        rng = self._rng
        if rpc is Rpc.DECIDE:
            return self._decision(key, account_id).SerializeToString()
        if rpc is Rpc.ASSIGN:
            return limit_service_pb2.DecideRequest(
                request_id=key, account_id=f"{self._caller}-{key}", product="revolving",
                kind=decision_pb2.DECISION_KIND_ASSIGN, facts=bodies.GOOD,
            ).SerializeToString()  # fmt: skip
        if rpc is Rpc.AUTHORIZE:
            return draw_service_pb2.AuthorizeDrawRequest(
                request_id=key,
                account_id=account_id,
                amount=money(rng.randrange(100, 2_000), CURRENCY),
                ttl_seconds=600,
            ).SerializeToString()
        if rpc is Rpc.BATCH:
            asked = [self._decision(f"{key}.{item}", account_name(self._account())) for item in range(BATCH_ITEMS)]
            return limit_service_pb2.BatchDecideRequest(requests=asked).SerializeToString()
        if rpc is Rpc.EVENTS:
            events = [
                event(
                    account_id, event_pb2.Transaction(amount=money(rng.randrange(1, 10_000), CURRENCY)),
                    self._now - timedelta(seconds=rng.randrange(60 * 86_400)), event_id=f"{key}.{item}",
                )
                for item in range(EVENTS_A_CALL)
            ]  # fmt: skip
            return event_service_pb2.RecordEventsRequest(events=events).SerializeToString()
        return account_service_pb2.GetAccountRequest(account_id=account_id).SerializeToString()

    def _decision(self, key: str, account_id: str) -> limit_service_pb2.DecideRequest:
        kind = self._rng.choice((decision_pb2.DECISION_KIND_REVIEW, decision_pb2.DECISION_KIND_RAISE))
        return limit_service_pb2.DecideRequest(
            request_id=key, account_id=account_id, kind=kind, facts=bodies.facts(self._rng)
        )

    def granted(self, posting: draw_pb2.Posting) -> None:
        """Note a hold that a later call may capture."""
        hold = posting.hold
        self._holds.append((posting.account_id, hold.hold_id, hold.authorised.minor_units))
