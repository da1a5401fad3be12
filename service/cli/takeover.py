"""Take a population over: batches of imports through the client.

Promises that every customer ends as made, replayed or refused, each counted.
"""

from collections.abc import Callable, Sequence

from holdline.client import Client, HoldlineError, money
from holdline.client.requests import facts_of
from holdline.v1 import account_service_pb2

from service import population

ITEMS = 1_000


def take_over(
    client: Client, customers: Sequence[population.Customer], advance: Callable[[int], None]
) -> tuple[int, int, list[tuple[str, HoldlineError]]]:
    """Import customers in batches; gives how many were made, how many had been before, and the refused ones."""
    made = replayed = 0
    refused: list[tuple[str, HoldlineError]] = []
    for start in range(0, len(customers), ITEMS):
        batch = customers[start : start + ITEMS]
        for customer, result in zip(batch, client.import_accounts([_account(one) for one in batch]), strict=True):
            if isinstance(result, HoldlineError):
                refused.append((customer.account_id, result))
            elif result.replayed:
                replayed += 1
            else:
                made += 1
        advance(len(batch))
    return made, replayed, refused


def _account(customer: population.Customer) -> account_service_pb2.ImportAccount:
    return account_service_pb2.ImportAccount(
        request_id=f"import-{customer.account_id}",
        account_id=customer.account_id,
        product=population.PRODUCT,
        limit=money(customer.limit_minor, population.CURRENCY),
        outstanding=money(customer.outstanding_minor, population.CURRENCY),
        facts=facts_of(customer.facts),
    )
