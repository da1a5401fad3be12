"""Amounts of money as int64 minor units, and the arithmetic that decisions are made of.

Promises integer results, rounded in a stated direction. Leaves the currency to whoever holds the amount: an account
has one currency, so its amounts carry none.
"""

from functools import lru_cache
from typing import Final

MINOR_MAX: Final = 10**15
"""Greatest amount that a caller may send, in minor units."""

SUM_MAX: Final = 10**18
"""Greatest sum of amounts that is kept, in minor units: a thousand of the greatest, well within 64 bits."""

BASIS_POINTS: Final = 10_000

# ISO 4217 minor-unit exponents that differ from 2.
_EXPONENTS: Final = {
    "BHD": 3, "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KMF": 0, "KRW": 0,
    "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0,
    "XPF": 0,
}  # fmt: skip


@lru_cache(maxsize=1024)
def is_currency_code(text: str) -> bool:
    """Claim that the text has the form of an ISO 4217 code: three capital letters."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


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
    exponent = _EXPONENTS.get(currency, 2)
    whole, fraction = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else ""
    tail = f".{fraction:0{exponent}d}" if exponent else ""
    return f"{currency} {sign}{whole:,}{tail}"
