"""Populations of accounts: a public data set of card customers, and a seeded synthetic one of the same shape.

Promises facts that the source supports and no others. Sex, marital status, education and age never become facts; they
and the outcome go to a file of their own, for fairness reports.
"""

import csv
import gzip
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

PRODUCT: Final = "revolving"
CURRENCY: Final = "CNY"
FEN_PER_NT_DOLLAR: Final = 25
"""The set is in New Taiwan dollars of 2005, when one was about 0.25 yuan; a fixed rate keeps the shape."""
DAYS_PER_MONTH_LATE: Final = 30

_STATUS_COLUMNS: Final = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")
_BILLS: Final = tuple(f"BILL_AMT{month}" for month in range(1, 7))
_PAYMENTS: Final = tuple(f"PAY_AMT{month}" for month in range(1, 7))
_ASIDE: Final = ("SEX", "EDUCATION", "MARRIAGE", "AGE", "default.payment.next.month", "split")


class Customer(NamedTuple):
    """One account to take over: amounts in fen, facts by name, and what is kept aside."""

    account_id: str
    limit_minor: int
    outstanding_minor: int
    facts: dict[str, int]
    aside: dict[str, str]


def credit_card_clients(path: Path) -> Iterator[Customer]:
    """Read *Default of Credit Card Clients* (Yeh, UCI, doi 10.24432/C55S3H, CC BY 4.0), CSV, gzip or plain.

    Six months of repayment status give days past due (30 for a month of delay), late months and the streak; bills and
    payments give the payment ratio and what is owed. Raises ValueError for a file of another shape.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        needed = {"ID", "LIMIT_BAL", *_STATUS_COLUMNS, *_BILLS, *_PAYMENTS}
        missing = needed - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
        for row in reader:
            yield _customer(
                f"ccc-{row['ID']}",
                _whole(row["LIMIT_BAL"]) * FEN_PER_NT_DOLLAR,
                [_whole(row[column]) for column in _STATUS_COLUMNS],
                [_whole(row[column]) * FEN_PER_NT_DOLLAR for column in _BILLS],
                [_whole(row[column]) * FEN_PER_NT_DOLLAR for column in _PAYMENTS],
                {column: row[column] for column in _ASIDE if column in row},
            )


def _whole(text: str) -> int:
    """Read a whole number that may be written as "20000.0"; raises ValueError for any other."""
    number = Decimal(text)
    if number != int(number):
        raise ValueError(f"{text} is not a whole number")
    return int(number)


def synthetic(count: int, seed: int) -> Iterator[Customer]:
    """Draw customers with the shape of the data set.

    Limits are log-uniform over 2,500 to 250,000 yuan in steps of 250. Four in five customers are hardly ever late
    (1 % a month), the others one month in three, and a month of delay follows a late one half of the time. Bills
    are a share of the limit that the customer keeps with some noise; payments are full for a third, else 2 to 30 %.
    """
    rng = random.Random(seed)
    for number in range(1, count + 1):
        limit = int(2_500 * 100 ** rng.random()) // 250 * 250 * 100
        late_chance = 0.01 if rng.random() < 0.8 else 0.33
        delays = [0] * 6
        for month in reversed(range(6)):
            before = delays[month + 1] if month < 5 else 0
            chance = 0.5 if before else late_chance
            delays[month] = before + 1 if rng.random() < chance else 0
        usage = rng.betavariate(1.2, 1.8)
        bills = [min(int(limit * usage * rng.uniform(0.8, 1.2)), limit) for _ in range(6)]
        pays_full = rng.random() < 0.33
        payments = [bill if pays_full else int(bill * rng.uniform(0.02, 0.3)) for bill in bills]
        yield _customer(f"syn-{number}", limit, delays, bills, payments, {})


def _customer(
    account_id: str, limit: int, delays: list[int], bills: list[int], payments: list[int], aside: dict[str, str]
) -> Customer:
    """Derive facts from six months, the newest first; a delay of 0 or less is none."""
    months = [max(delay, 0) for delay in delays]
    streak = next((number for number, delay in enumerate(months) if delay), len(months))
    # A payment answers the bill of the month before.
    billed = sum(max(bill, 0) for bill in bills[1:])
    facts = {
        "dpd_now": months[0] * DAYS_PER_MONTH_LATE,
        "dpd_max_12m": max(months) * DAYS_PER_MONTH_LATE,
        "late_months_12m": sum(delay > 0 for delay in months),
        "on_time_streak_months": streak,
    }
    if billed:
        facts["payment_ratio_bp"] = min(sum(payments[:-1]) * 10_000 // billed, 10_000)
    return Customer(account_id, limit, max(bills[0], 0), facts, aside)


def write_aside(path: Path, customers: list[Customer]) -> None:
    """Write what is kept aside, one line a customer."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["account_id", *_ASIDE])
        writer.writeheader()
        writer.writerows({"account_id": customer.account_id, **customer.aside} for customer in customers)
