"""What a field may hold: each violation with its path and the way out.

Promises that nothing a caller sends reaches the domain unchecked.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from google.protobuf.message import Message
from holdline.v1 import account_pb2, money_pb2

from service.domain.decision import APPEAL, IMPORT, Kind
from service.domain.errors import InvalidRequest, Violation
from service.domain.facts import FACTS, MONEY_FACTS
from service.domain.money import MINOR_MAX, currency_fault, is_currency
from service.rpc.texts import written_violations
from service.rpc.wire import ALL_LANGUAGES

BATCH_ITEMS_MAX: Final = 1_000
VERSION_MAX: Final = 1 << 62
REASON_LENGTH_MAX: Final = 500

is_account_id: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}").fullmatch
is_request_id: Final = re.compile(r"[\x20-\x7e]{1,64}").fullmatch
is_product: Final = re.compile(r"[a-z0-9_-]{1,32}").fullmatch
is_version: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch
is_decision_id: Final = re.compile(r"[0-9a-f]{16}").fullmatch

DECIDABLE: Final = {int(kind): kind for kind in Kind if kind not in (IMPORT, APPEAL)}
"""The kinds that callers ask for."""
_RECORDED: Final = {int(kind): kind.name for kind in (IMPORT, APPEAL)}
_RANGES: Final = tuple((fact.lowest, fact.highest) for fact in FACTS)

MODE_ID: Final = r"normal|m-[0-9a-f]{16}"
is_mode_id: Final = re.compile(MODE_ID).fullmatch

News = tuple[tuple[int, int], ...]
Currencies = tuple[tuple[int, str], ...]


def is_record_id(text: str) -> bool:
    """Claim that a text is the id of a decision, posting or hold, within what a store can number."""
    return bool(is_decision_id(text)) and int(text, 16) < 1 << 63


def facts_of(facts: account_pb2.Facts) -> tuple[News, Currencies, list[Violation]]:
    """Give news, the currencies of its amounts, and violations."""
    news: list[tuple[int, int]] = []
    currencies: list[tuple[int, str]] = []
    violations: list[Violation] = []
    for descriptor, value in facts.ListFields():
        fact = descriptor.number - 1
        if fact in MONEY_FACTS:
            currency = value.currency_code
            if not (0 <= value.minor_units <= MINOR_MAX and is_currency(currency)):
                violations += money_violations(f"facts.{descriptor.name}", value)
            currencies.append((fact, currency))
            news.append((fact, value.minor_units))
            continue
        lowest, highest = _RANGES[fact]
        if not lowest <= value <= highest:
            violations.append(_out_of_range(fact, value))
        news.append((fact, value))
    return tuple(news), tuple(currencies), violations


def _out_of_range(fact: int, value: int) -> Violation:
    definition = FACTS[fact]
    return Violation(
        f"facts.{definition.name}",
        f"{value} is out of range; {definition.unit} from {definition.lowest} to {definition.highest}",
    )


def money_violations(field: str, money: money_pb2.Money) -> list[Violation]:
    """Give what is wrong with an amount."""
    found = []
    if money.minor_units < 0:
        found.append(Violation(f"{field}.minor_units", f"{money.minor_units} is negative; amounts start at 0"))
    elif money.minor_units > MINOR_MAX:
        found.append(Violation(f"{field}.minor_units", f"{money.minor_units} is too large; send at most {MINOR_MAX}"))
    if not is_currency(money.currency_code):
        found.append(Violation(f"{field}.currency_code", currency_fault(money.currency_code)))
    return found


def refuse(violations: Sequence[Violation]) -> None:
    """Raise InvalidRequest where there is any violation."""
    if violations:
        raise InvalidRequest(tuple(violations))


def spelled(text: str, most: int, alphabet: str, is_taken: Callable[[str], object]) -> str:
    """Tell what is wrong with a name: its length, or the first character that it can't have."""
    # Looked through only where it is short: a batch may bring a name of a megabyte.
    wrong = [(place, one) for place, one in enumerate(text, 1) if not is_taken(one)] if len(text) <= most else []
    if not wrong:
        return f"{len(text)} characters; send 1 to {most} of {alphabet}"
    place, one = wrong[0]
    return f"{one!r} can't be character {place}; send 1 to {most} of {alphabet}"


def request_id_violations(request_id: str) -> list[Violation]:
    """Give what is wrong with an idempotency key."""
    if is_request_id(request_id):
        return []
    return [Violation("request_id", spelled(request_id, 64, "printable ASCII", is_request_id))]


LANGUAGES_MAX: Final = 8


class Speaks(Protocol):
    """A request that says in which languages it wants texts."""

    @property
    def language_codes(self) -> Sequence[str]: ...  # noqa: D102 - the class docstring covers it.


def languages_of(requests: Sequence[Speaks]) -> Sequence[tuple[str, ...]]:
    """Give the languages that each request wants, in our order; nothing where all want all."""
    if not any(request.language_codes for request in requests):
        return ()
    return [languages(request) for request in requests]


def languages(request: Speaks) -> tuple[str, ...]:
    """Give the languages that a request wants, in our order: all where it names none."""
    wanted = request.language_codes
    # Of more the request is refused, and a batch may bring a hundred thousand.
    return tuple(code for code in ALL_LANGUAGES if code in wanted[:LANGUAGES_MAX]) if wanted else ALL_LANGUAGES


def which_violations(request: Message, field: str) -> list[Violation]:
    """Give what is wrong with how a record is named: by its id in a field, or by the request id that made it."""
    which = request.WhichOneof("which")
    if which == field:
        wrong = "send its 16 hexadecimal digits, lower case"
        return [] if is_decision_id(getattr(request, field)) else [Violation(field, wrong)]
    if which == "request_id":
        return request_id_violations(getattr(request, which))
    return [Violation("which", f"send {field} or request_id")]


def language_violations(request: Speaks) -> list[Violation]:
    """Give what is wrong with the languages that a request wants."""
    wanted = request.language_codes
    if len(wanted) > LANGUAGES_MAX:
        return [Violation("language_codes", f"{len(wanted)} items; send at most {LANGUAGES_MAX}, none for all")]
    known = " or ".join(ALL_LANGUAGES)
    return [
        Violation(f"language_codes[{place}]", f"texts are written in {known}; leave the list empty for all")
        for place, code in enumerate(wanted) if code not in ALL_LANGUAGES
    ]  # fmt: skip


def reason_violations(reason: str, field: str = "reason", *, needed: bool = True) -> list[Violation]:
    """Give what is wrong with why a person acts, or with a note of theirs."""
    if needed and not reason.strip():
        return [Violation(field, f"say why, for the record: 1 to {REASON_LENGTH_MAX} characters")]
    if len(reason) > REASON_LENGTH_MAX:
        return [Violation(field, f"{len(reason)} characters; send at most {REASON_LENGTH_MAX}")]
    # It stands in one line of the audit trail, where a line break would forge another.
    return [*written_violations(field, reason)]


def account_id_violations(account_id: str) -> list[Violation]:
    """Give what is wrong with an account's id."""
    if is_account_id(account_id):
        return []
    return [Violation("account_id", spelled(account_id, 64, "[A-Za-z0-9._:-]", is_account_id))]


def product_violations(product: str, *, needed: bool) -> list[Violation]:
    """Give what is wrong with a product's name."""
    if is_product(product) or (not product and not needed):
        return []
    return [Violation("product", spelled(product, 32, "[a-z0-9_-]", is_product))]


def kind_violations(kind: int) -> list[Violation]:
    """Give what is wrong with a decision kind."""
    if kind in DECIDABLE:
        return []
    if kind in _RECORDED:
        what = f"{_RECORDED[kind]} is recorded, never asked; send ASSIGN, RAISE, REDUCE, REVIEW or TEMPORARY_RAISE"
        return [Violation("kind", what)]
    return [Violation("kind", f"{kind} can't be asked for; send ASSIGN, RAISE, REDUCE, REVIEW or TEMPORARY_RAISE")]
