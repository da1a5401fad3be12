"""What is known of an account: the vocabulary of facts, a profile of them, and how news is merged.

Promises that every fact has a unit, a range and a better direction, and that a profile remembers when each was
observed. Leaves to the policy what a missing or stale fact means.
"""

from enum import Enum
from typing import Final, NamedTuple

from service.domain.money import MINOR_MAX


class Better(Enum):
    """Which way a fact speaks for the customer."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Definition(NamedTuple):
    """One fact of the vocabulary; range inclusive, in the fact's unit."""

    name: str
    unit: str
    lowest: int
    highest: int
    better: Better


FACTS: Final = (
    Definition("identity_level", "level", 0, 3, Better.HIGHER),
    Definition("bureau_score", "points", 300, 900, Better.HIGHER),
    Definition("monthly_income", "minor units", 0, MINOR_MAX, Better.HIGHER),
    Definition("employment_months", "months", 0, 1_200, Better.HIGHER),
    Definition("enquiries_30d", "enquiries", 0, 1_000, Better.LOWER),
    Definition("on_time_streak_months", "months", 0, 1_200, Better.HIGHER),
    Definition("payment_ratio_bp", "basis points", 0, 10_000, Better.HIGHER),
    Definition("dpd_now", "days", 0, 36_500, Better.LOWER),
    Definition("dpd_max_12m", "days", 0, 36_500, Better.LOWER),
    Definition("late_months_12m", "months", 0, 12, Better.LOWER),
    Definition("transactions_30d", "transactions", 0, 100_000, Better.NEITHER),
    Definition("mean_transaction", "minor units", 0, MINOR_MAX, Better.NEITHER),
    Definition("profile_completeness_bp", "basis points", 0, 10_000, Better.HIGHER),
    Definition("misuse_flags", "findings", 0, 1_000, Better.LOWER),
    Definition("age_years", "years", 0, 150, Better.NEITHER),
)
"""Every fact, in the order of its index; the index is the field number in the contract less one."""

UTILISATION: Final = len(FACTS)
"""Index of utilisation, which is computed from limit and exposure at decision time and never stored."""

CHARACTERISTICS: Final = (
    *FACTS,
    Definition("utilisation_bp", "basis points", 0, 10_000, Better.NEITHER),
)
"""What a rule may test: the facts, and utilisation (exposure / limit)."""

INDEX: Final = {definition.name: index for index, definition in enumerate(CHARACTERISTICS)}

MONEY_FACTS: Final = frozenset((INDEX["monthly_income"], INDEX["mean_transaction"]))

PROHIBITED: Final = frozenset(
    (
        "sex", "gender", "marital_status", "marriage", "religion", "ethnicity", "ethnic_group", "race", "nationality",
        "national_origin", "colour", "color", "pregnancy", "disability", "political_opinion",
    )
)  # fmt: skip
"""Bases that no policy may use (Equal Credit Opportunity Act, 15 USC 1691, and alike elsewhere)."""

NEVER_OBSERVED: Final = 1 << 62
"""Observation time of a missing fact: so far ahead that it never counts as stale."""


class Profile(NamedTuple):
    """The facts of one account: values by fact index, and when each was observed (microseconds UTC)."""

    values: tuple[int | None, ...]
    observed_us: tuple[int, ...]


NOTHING_KNOWN: Final = Profile((None,) * len(FACTS), (NEVER_OBSERVED,) * len(FACTS))

ERASED: Final = Profile((None,) * len(FACTS), (NEVER_OBSERVED,) * len(FACTS))
"""Stands where facts were erased from the record; known by its identity, for it decides as if nothing were known."""


def merge(profile: Profile, news: tuple[tuple[int, int], ...], observed_us: int) -> Profile:
    """Merge news, pairs of fact index and value, over a profile; each counts as observed then (microseconds UTC)."""
    if not news:
        return profile
    values = list(profile.values)
    observed = list(profile.observed_us)
    for index, value in news:
        values[index] = value
        observed[index] = observed_us
    return Profile(tuple(values), tuple(observed))
