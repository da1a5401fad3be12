"""Request bodies of the benchmarks, made before the clock starts.

Promises a key of its own for each request of a process: a replay would void the run.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from holdline.client.requests import event
from holdline.v1 import account_pb2, decision_pb2, event_pb2, event_service_pb2, limit_service_pb2
from holdline.v1.money_pb2 import Money

ACCOUNTS = 20_000
BATCH = 1_000
_numbers = count()
GOOD = account_pb2.Facts(
    bureau_score=780, enquiries_30d=0, payment_ratio_bp=9_000, identity_level=3, on_time_streak_months=12,
    monthly_income=Money(minor_units=1_000_000, currency_code="CNY"), dpd_now=0, dpd_max_12m=0, late_months_12m=0,
)  # fmt: skip
"""Facts of a customer whom every rule likes."""


def facts(rng: random.Random) -> account_pb2.Facts:
    """Draw the news of a call: seven facts of an ordinary customer."""
    return account_pb2.Facts(
        bureau_score=rng.randrange(500, 850), enquiries_30d=rng.randrange(6), payment_ratio_bp=rng.randrange(10_001),
        monthly_income=Money(minor_units=rng.randrange(300_000, 3_000_000), currency_code="CNY"),
        identity_level=2, on_time_streak_months=rng.randrange(12), dpd_now=0,
    )  # fmt: skip


def first_limits() -> Iterator[bytes]:
    """Give requests for batches in which every account gets its first limit."""
    for start in range(0, ACCOUNTS, BATCH):
        batch = [
            limit_service_pb2.DecideRequest(
                request_id=f"load-{number}", account_id=f"acc-{number}", product="revolving",
                kind=decision_pb2.DECISION_KIND_ASSIGN, facts=GOOD,
            )
            for number in range(start, start + BATCH)
        ]  # fmt: skip
        yield limit_service_pb2.BatchDecideRequest(requests=batch).SerializeToString()


def requests(rng: random.Random) -> Iterator[limit_service_pb2.DecideRequest]:
    """Give decisions on known accounts without an end, each with a key of its own."""
    for number in _numbers:
        yield limit_service_pb2.DecideRequest(
            request_id=f"b-{number}", account_id=f"acc-{rng.randrange(ACCOUNTS)}",
            kind=decision_pb2.DECISION_KIND_REVIEW, facts=facts(rng),
        )  # fmt: skip


def prepared(amount: int, rng: random.Random) -> Iterator[bytes]:
    """Give request bodies that were made before the clock starts."""
    source = requests(rng)
    return iter([next(source).SerializeToString() for _ in range(amount)])


def decisions_in_batches(batches: int) -> list[bytes]:
    """Write requests for batches and for streams, which have the same fields."""
    source = requests(random.Random(9))
    return [
        limit_service_pb2.BatchDecideRequest(requests=[next(source) for _ in range(BATCH)]).SerializeToString()
        for _ in range(batches)
    ]


def events_in_batches(batches: int, per_account: int) -> list[bytes]:
    """Write requests of events of the last 60 days, so many of one account after another."""
    rng, now = random.Random(11), datetime.now(UTC)
    found = []
    for _ in range(batches):
        events = []
        for place in range(BATCH):
            if place % per_account == 0:
                account_id = f"acc-{rng.randrange(ACCOUNTS)}"
            amount = Money(minor_units=rng.randrange(1, 10_000), currency_code="CNY")
            at = now - timedelta(seconds=rng.randrange(60 * 86_400))
            what = rng.choices(
                (
                    event_pb2.Transaction(amount=amount),
                    event_pb2.Repayment(amount=amount),
                    event_pb2.Enquiry(),
                    event_pb2.Statement(amount=amount, due_date=(at + timedelta(days=20)).date().isoformat()),
                ),
                (7, 1, 1, 1),
            )[0]
            events.append(event(account_id, what, at, event_id=f"e-{next(_numbers)}"))
        found.append(event_service_pb2.RecordEventsRequest(events=events).SerializeToString())
    return found
