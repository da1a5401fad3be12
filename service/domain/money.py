"""Amounts of money as int64 minor units, and the arithmetic that decisions are made of.

Promises integer results, rounded in a stated direction. Leaves the currency to whoever holds the amount: an account
has one currency, so its amounts carry none.
"""

from typing import Final

from service.domain.currencies import EXPONENTS

MINOR_MAX: Final = 10**15
"""Greatest amount that a caller may send, in minor units."""

SUM_MAX: Final = 10**18
"""Greatest sum of amounts that is kept, in minor units: a thousand of the greatest, well within 64 bits."""

BASIS_POINTS: Final = 10_000

_EXPONENT_OF_OLD: Final = 2
"""Of codes that a store holds from a time when they were taken unchecked."""


def is_currency(code: str) -> bool:
    """Claim that a code is a currency of ISO 4217 that has a minor unit, and so can be owed."""
    return code in EXPONENTS


def currency_fault(code: str) -> str:
    """Say what is wrong with a code that is no currency."""
    if len(code) == 3 and code.isascii() and code.isalpha() and code.isupper():
        return f"{code} is no currency that ISO 4217 assigns and gives a minor unit; check the code"
    return "send an ISO 4217 code, three capital letters"


def share(amount_minor: int, ratio_bp: int) -> int:
    """Take a ratio (basis points) of an amount (minor units), rounded down."""
    return amount_minor * ratio_bp // BASIS_POINTS


def ratio_bp(part_minor: int, whole_minor: int) -> int:
    """Give part over whole in basis points, rounded down; a whole of 0 counts as fully used by any part."""
    if whole_minor <= 0:
        return 0 if part_minor <= 0 else BASIS_POINTS
    return part_minor * BASIS_POINTS // whole_minor


def round_down(amount_minor: int, unit_minor: int) -> int:
    """Round an amount down to a multiple of the unit (minor units, at least 1)."""
    return amount_minor - amount_minor % unit_minor


def round_up(amount_minor: int, unit_minor: int) -> int:
    """Round an amount up to a multiple of the unit (minor units, at least 1)."""
    return -(-amount_minor // unit_minor) * unit_minor


def display(amount_minor: int, currency: str) -> str:
    """Write an amount for people: minor units and ISO 4217 code in, "CNY 1,234.50" out."""
    exponent = EXPONENTS.get(currency, _EXPONENT_OF_OLD)
    whole, fraction = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else ""
    tail = f".{fraction:0{exponent}d}" if exponent else ""
    return f"{currency} {sign}{whole:,}{tail}"
