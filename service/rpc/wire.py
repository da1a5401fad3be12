"""Write decisions and accounts in the protobuf wire format by hand: the one message that every call answers.

Promises bytes that parse to the message that the generated classes would make; a test holds it to that over random
decisions. It exists because building the same message from generated classes takes three times as long.
Source: protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

from service.domain.account import Account, Temporary, available_minor, limit_in_force
from service.domain.days import iso
from service.domain.decision import Decided, Decision, limit_after_minor, own_limit_minor
from service.domain.explain import NO_TEXT
from service.domain.facts import FACTS, MONEY_FACTS, Profile
from service.domain.policy import Policy

Languages = tuple[str, ...]
Codes = tuple[str, ...]
PolicyOf = Callable[[str], Policy]
ALL_LANGUAGES: Final[Languages] = ("zh", "en")
"""The languages of a policy's texts, in the order of their two columns."""
SMALL_END: Final = 1 << 14
_SMALL: Final = tuple(
    bytes((number,)) if number < 128 else bytes((number & 127 | 128, number >> 7)) for number in range(SMALL_END)
)
_CONTINUED: Final = tuple(bytes((number & 127 | 128, number >> 7 | 128)) for number in range(SMALL_END))
"""The first 14 bits of a number that has more of them."""
_FACT_TAGS: Final = tuple(
    (bytes(((index + 1) << 3 | (2 if index in MONEY_FACTS else 0),)), index in MONEY_FACTS)
    for index in range(len(FACTS))
)
"""Of each fact its tag, and whether it is an amount."""


def varint(number: int) -> bytes:
    """Write an int64 as a varint; negative ones take ten bytes."""
    if 0 <= number < SMALL_END:
        return _SMALL[number]
    if 0 <= number < SMALL_END << 14:
        return _CONTINUED[number & SMALL_END - 1] + _SMALL[number >> 14]
    number &= (1 << 64) - 1
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def field(tag: bytes, content: bytes) -> bytes:
    """Write a length-delimited field."""
    return tag + varint(len(content)) + content


@lru_cache(maxsize=8192)
def money(minor_units: int, currency: str) -> bytes:
    """Write a Money with its length in front, without a tag; cached because amounts repeat."""
    return _amount(minor_units, _code(currency))


def _code(currency: str) -> bytes:
    return b"\x12\x03" + currency.encode()


def _amount(minor_units: int, code: bytes) -> bytes:
    """Write what `money` does, from its currency's field and without a cache: facts rarely repeat an amount."""
    if not minor_units:
        return b"\x05" + code
    amount = varint(minor_units)
    return _SMALL[len(amount) + 6] + b"\x08" + amount + code


@lru_cache(maxsize=256)
def text(tag: bytes, content: str) -> bytes:
    """Write a string field that many messages share; nothing where it is empty."""
    return field(tag, content.encode()) if content else b""


@lru_cache(maxsize=256)
def day(tag: bytes, number: int) -> bytes:
    """Write a date field from days since 1970-01-01; nothing for day 0."""
    return field(tag, iso(number).encode()) if number else b""


@lru_cache(maxsize=64)
def timestamp(tag: bytes, micros: int) -> bytes:
    """Write a Timestamp field from microseconds since the epoch UTC; cached because a batch has one."""
    seconds, rest = divmod(micros, 1_000_000)
    return field(tag, b"\x08" + varint(seconds) + (b"\x10" + varint(rest * 1_000) if rest else b""))


def facts(profile: Profile, currency: str) -> bytes:
    """Write the content of a Facts."""
    code = _code(currency)
    return b"".join(
        [
            tag + (_amount(value, code) if is_money else _SMALL[value] if value < SMALL_END else varint(value))
            for (tag, is_money), value in zip(_FACT_TAGS, profile.values, strict=True)
            if value is not None
        ]
    )


class WritesReasons(Protocol):
    """Writes the reason fields of decisions; asks for a policy only where its texts aren't written yet."""

    def written(self, codes: Codes, version: str, policy_of: PolicyOf, languages: Languages) -> bytes: ...  # noqa: D102 - the docstring covers it.


class Reasons:
    """Reason fields by policy version, codes and languages, written once; bounded, policies have few combinations."""

    SETS_MAX = 4096

    def __init__(self) -> None:
        self._written: dict[tuple[str, Codes, Languages], bytes] = {}

    def written(self, codes: Codes, version: str, policy_of: PolicyOf, languages: Languages) -> bytes:
        """Give the reason fields of a decision, with the texts of its policy."""
        key = (version, codes, languages)
        found = self._written.get(key)
        if found is None:
            policy = policy_of(version)
            if len(self._written) >= self.SETS_MAX:
                self._written.clear()
            found = self._written[key] = b"".join(_reason(code, policy, languages) for code in codes)
        return found


class ReasonsOnce:
    """Reason fields of one large answer: texts stand where a code of a policy comes first, while they have room."""

    def __init__(self, bytes_max: int) -> None:
        self._room = bytes_max
        self._told: set[tuple[str, str, Languages]] = set()

    def written(self, codes: Codes, version: str, policy_of: PolicyOf, languages: Languages) -> bytes:
        """Give the reason fields of a decision, with the texts that were not given before."""
        policy = policy_of(version)
        return b"".join(self._reason(code, policy, languages) for code in codes)

    def _reason(self, code: str, policy: Policy, languages: Languages) -> bytes:
        if (policy.version, code, languages) in self._told:
            return field(b"\x42", text(b"\x0a", code))
        told = _reason(code, policy, languages)
        if len(told) > self._room:
            return field(b"\x42", text(b"\x0a", code))
        self._room -= len(told)
        self._told.add((policy.version, code, languages))
        return told


def _reason(code: str, policy: Policy, languages: Languages) -> bytes:
    known = policy.texts.get(code, NO_TEXT)
    texts = b"".join(
        field(b"\x12", text(b"\x0a", language) + text(b"\x12", content))
        for language, content in zip(ALL_LANGUAGES, (known.zh, known.en), strict=True)
        if content and language in languages
    )
    return field(b"\x42", text(b"\x0a", code) + texts)


@lru_cache(maxsize=8192)
def balances(limit: int, effective: int, held: int, outstanding: int, currency: str) -> bytes:
    """Write a Balances with its length in front, without a tag; cached because amounts repeat: 2 % of a decision."""
    content = b"".join(
        (
            b"\x0a", money(limit, currency), b"\x12", money(effective, currency), b"\x1a", money(held, currency),
            b"\x22", money(outstanding, currency),
            b"\x2a", money(available_minor(effective, held, outstanding), currency),
        )
    )  # fmt: skip
    return varint(len(content)) + content


@lru_cache(maxsize=256)
def activation(name: str) -> bytes:
    """Write an activation that took part, an ActivationRef with tag and length, from its name "id@playbook/vN"."""
    number, _, title = name.partition("@")
    playbook, _, version = title.partition("/v")
    return field(b"\x5a", text(b"\x0a", number) + text(b"\x12", playbook) + b"\x18" + varint(int(version)))


def decision(made: Decision, currency: str, reasons: bytes) -> bytes:
    """Write the content of a Decision."""
    own_limit = own_limit_minor(made)
    return _decision(made, currency, reasons, own_limit, _balances_after(made, own_limit, currency))


def _balances_after(made: Decision, own_limit: int, currency: str) -> bytes:
    return balances(own_limit, limit_after_minor(made), made.held_minor, made.outstanding_minor, currency)


def _decision(made: Decision, currency: str, reasons: bytes, own_limit: int, money_after: bytes) -> bytes:
    account_id, request_id = made.account_id.encode(), made.request_id.encode()
    return b"".join(
        (
            b"\x0a\x10%016x" % made.number if made.number else b"",
            b"\x12", _SMALL[len(account_id)], account_id,
            b"\x18", _SMALL[made.kind], b"\x20", _SMALL[made.outcome],
            b"\x2a", money(made.old_limit_minor, currency), b"\x32", money(own_limit, currency),
            b"\x38" + varint(sum(made.points)) if made.points else b"",
            reasons, text(b"\x4a", made.policy_version), text(b"\x52", made.mode_id),
            b"".join([activation(name) for name in made.activations]) if made.activations else b"",
            text(b"\x62", made.caller), b"\x6a", _SMALL[len(request_id)], request_id,
            timestamp(b"\x72", made.decided_us), b"\x78", varint(made.account_version),
            field(b"\x82\x01", made.trace_id.encode()) if made.trace_id else b"",
            day(b"\x8a\x01", made.business_day), day(b"\x92\x01", made.notice_day),
            b"\x9a\x01" + money(made.promised_minor, currency) if made.promised_minor else b"",
            field(b"\xa2\x01", _temporary(made.temporary, currency)) if made.temporary is not None else b"",
            b"\xa8\x01", _SMALL[made.rules], b"\xb2\x01", money_after,
        )
    )  # fmt: skip


def _temporary(raised: Temporary, currency: str) -> bytes:
    """Write the content of a TemporaryRaise."""
    return b"\x0a" + money(raised.extra_minor, currency) + timestamp(b"\x12", raised.until_us)


def account(found: Account) -> bytes:
    """Write the content of an Account."""
    money_now = balances(
        found.limit_minor, limit_in_force(found), found.held_minor, found.outstanding_minor, found.currency
    )  # fmt: skip
    return _account(
        found.account_id, found.product, found.currency, found.status, money_now, found.version, found.profile,
        found.temporary,
    )  # fmt: skip


def _account(
    account_id: str, product: str, currency: str, status: int, money_now: bytes, version: int, profile: Profile,
    raised: Temporary | None,
) -> bytes:  # fmt: skip
    name = account_id.encode()
    known = facts(profile, currency)
    return b"".join(
        (
            b"\x0a", _SMALL[len(name)], name, text(b"\x12", product), b"\x18", _SMALL[status], b"\x22", money_now,
            b"\x28", varint(version), b"\x32", varint(len(known)), known,
            field(b"\x3a", _temporary(raised, currency)) if raised is not None else b"",
        )
    )  # fmt: skip


def decide_response(decided: Decided, reasons: bytes) -> bytes:
    """Write the content of a DecideResponse: the decision, and the account as it was right after it."""
    made, product, currency, replayed = decided
    own_limit = own_limit_minor(made)
    money_after = _balances_after(made, own_limit, currency)
    account_after = _account(
        made.account_id, product, currency, made.status, money_after, made.account_version, made.profile, made.temporary
    )  # fmt: skip
    return (
        field(b"\x0a", _decision(made, currency, reasons, own_limit, money_after))
        + field(b"\x12", account_after)
        + (b"\x18\x01" if replayed else b"")
    )
