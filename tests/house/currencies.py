"""The table of ISO 4217 that the domain carries, generated from the registrar's list.

Promises every currency that has a minor unit, funds that debts are kept in (CLF, UYW) among them, and none of the codes
that have none: metals, units of account between central banks, XTS for tests and XXX for no currency.
"""

from typing import Final

from iso4217 import __published__, raw_table

_HEAD: Final = '''"""Minor units of the currencies of ISO 4217, as published on {published}: the exponent of ten by code.

Generated from the registrar's list by `make schema`; don't edit. Codes without a minor unit are no money to owe.
"""

from typing import Final

EXPONENTS: Final = {{
{entries}
}}
'''


def module() -> str:
    """Write the module."""
    units = {code: str(row["CcyMnrUnts"]) for code, row in raw_table.items() if code}
    lines = [f'    "{code}": {unit},' for code, unit in sorted(units.items()) if unit.isdigit()]
    return _HEAD.format(published=__published__, entries="\n".join(lines))
