"""Blobs of decisions, postings and accounts, and back: a record is a msgpack array that begins with its form's number.

Promises that a record read is equal to the record written, and that a later form can append fields, which older records
read as their defaults.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from service.domain.account import Growth, Movement, OpenHold, Status, Temporary
from service.domain.book import key_of
from service.domain.decision import Ask, Decision, Kind, Outcome
from service.domain.draw import DrawKind, Hold, Posting
from service.domain.facts import ERASED, Profile
from service.domain.rules import FIRST

FORM: Final = 1
"""The form of a record; a field that is appended, with a default, needs no new one."""
HASH_BYTES: Final = 16


class DecisionRecord(NamedTuple):
    """What a decision's blob holds: the decision, with the hash of its facts in their place."""

    form: int
    number: int
    previous: int
    account_id: str
    account_version: int
    kind: Kind
    outcome: Outcome
    status: Status
    old_limit_minor: int
    new_limit_minor: int
    held_minor: int
    outstanding_minor: int
    facts_hash: bytes
    growth: Growth
    points: tuple[int, ...]
    reasons: tuple[str, ...]
    policy_version: str
    mode_id: str
    activations: tuple[str, ...]
    caller: str
    request_id: str
    fingerprint: bytes
    trace_id: str
    decided_us: int
    business_day: int
    notice_day: int
    promised_minor: int = 0
    asked: Ask | None = None
    temporary: Temporary | None = None
    rules: int = FIRST


class PostingRecord(NamedTuple):
    """What a posting's blob holds."""

    form: int
    number: int
    previous: int
    account_id: str
    kind: DrawKind
    outcome: Outcome
    amount_minor: int
    hold: Hold | None
    limit_minor: int
    held_minor: int
    outstanding_minor: int
    reasons: tuple[str, ...]
    policy_version: str
    mode_id: str
    caller: str
    request_id: str
    fingerprint: bytes
    trace_id: str
    posted_us: int
    reference: str = ""
    extra_minor: int = 0


class AccountRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an account's blob holds; a struct, which is read faster than a named tuple, once a command."""

    form: int
    limit_minor: int
    held_minor: int
    outstanding_minor: int
    version: int
    last_raise_day: int
    last_cut_day: int
    movements: tuple[Movement, ...]
    last_decision: int
    holds: tuple[OpenHold, ...] = ()
    last_posting: int = 0
    temporary: Temporary | None = None
    limit_since_day: int = 0


encode: Final = msgspec.msgpack.Encoder().encode
_decode_facts: Final = msgspec.msgpack.Decoder(tuple[int, tuple[int | None, ...], tuple[int, ...], bytes]).decode
decode_decision: Final = msgspec.msgpack.Decoder(DecisionRecord).decode
decode_posting: Final = msgspec.msgpack.Decoder(PostingRecord).decode
decode_account: Final = msgspec.msgpack.Decoder(AccountRecord).decode
_decode_news: Final = msgspec.msgpack.Decoder(tuple[tuple[int, int], ...]).decode


class Facts(NamedTuple):
    """A profile as it is written, and its hash."""

    content: bytes
    hash: bytes


Written = dict[int, Facts]
"""Profiles that are written already, by their identity."""


def facts_hash(content: bytes) -> bytes:
    """Give the hash by which a decision's record vouches for its facts."""
    return blake2b(content, digest_size=HASH_BYTES).digest()


def facts_bytes(profile: Profile) -> bytes:
    """Write a profile: its values, the times at which any was observed, and for each value the place of its time.

    Facts come together, so there are few times: half the bytes of one a value.
    """
    values, observed = profile
    return encode((FORM, values, *_times(observed)))


@lru_cache(maxsize=256)
def _times(observed: tuple[int, ...]) -> tuple[tuple[int, ...], bytes]:
    """Give times once, and the place of each; cached because most profiles of a batch hold facts of one time."""
    times = tuple(dict.fromkeys(observed))
    return times, bytes(map(times.index, observed))


def facts_of(profile: Profile, written: Written) -> Facts:
    """Write a profile once while `written` lives: a decision and its account hold the same one, and a book holds both.

    It is known by its identity, since to hash one takes longer than to write it.
    """
    found = written.get(id(profile))
    if found is None:
        content = facts_bytes(profile)
        found = written[id(profile)] = Facts(content, facts_hash(content))
    return found


def profile_of(content: bytes | None) -> Profile:
    """Read a profile; ERASED where there is none any more."""
    if content is None:
        return ERASED
    form, values, times, places = _decode_facts(content)
    refuse_unknown(form)
    try:
        return Profile(values, tuple(map(times.__getitem__, places)))
    except IndexError as error:
        raise ValueError("a fact was observed at none of its profile's times") from error


def decision_record(decision: Decision, facts: bytes) -> bytes:
    """Write a decision's blob; `facts` is the hash of its facts."""
    (
        number, previous, account_id, account_version, kind, outcome, status, old_limit, new_limit, held, outstanding,
        _, growth, points, reasons, policy_version, mode_id, activations, caller, request_id, fingerprint, trace_id,
        decided_us, business_day, notice_day, promised, asked, temporary, judged_by,
    ) = decision  # fmt: skip
    return encode((
        FORM, number, previous, account_id, account_version, kind, outcome, status, old_limit, new_limit, held,
        outstanding, facts, growth, points, reasons, policy_version, mode_id, activations, caller, request_id,
        fingerprint, trace_id, decided_us, business_day, notice_day, promised, asked, temporary, judged_by,
    ))  # fmt: skip


def decision_of(record: bytes, facts: bytes | None) -> Decision:
    """Read a decision of its blobs; raises msgspec.MsgspecError or ValueError for what was never written."""
    (
        form, number, previous, account_id, account_version, kind, outcome, status, old_limit, new_limit, held,
        outstanding, _, growth, points, reasons, policy_version, mode_id, activations, caller, request_id, fingerprint,
        trace_id, decided_us, business_day, notice_day, promised, asked, temporary, judged_by,
    ) = decode_decision(record)  # fmt: skip
    refuse_unknown(form)
    return Decision(
        number, previous, account_id, account_version, kind, outcome, status, old_limit, new_limit, held, outstanding,
        profile_of(facts), growth, points, reasons, policy_version, mode_id, activations, caller, request_id,
        fingerprint, trace_id, decided_us, business_day, notice_day, promised, asked, temporary, judged_by,
    )  # fmt: skip


def posting_record(posting: Posting) -> bytes:
    """Write a posting's blob."""
    return encode((FORM, *posting))


def posting_of(record: bytes) -> Posting:
    """Read a posting of its blob; raises msgspec.MsgspecError or ValueError for what was never written."""
    (
        form, number, previous, account_id, kind, outcome, amount, hold_after, limit, held, outstanding, reasons,
        policy_version, mode_id, caller, request_id, fingerprint, trace_id, posted_us, reference, extra,
    ) = decode_posting(record)  # fmt: skip
    refuse_unknown(form)
    return Posting(
        number, previous, account_id, kind, outcome, amount, hold_after, limit, held, outstanding, reasons,
        policy_version, mode_id, caller, request_id, fingerprint, trace_id, posted_us, reference, extra,
    )  # fmt: skip


def refuse_unknown(form: int) -> None:
    """Raise ValueError for a form of record that this build does not know."""
    if form != FORM:
        raise ValueError(f"a record of form {form} is none of this build's")


def key_of_record(record: bytes, *, is_posting: bool) -> str:
    """Read the key of a decision's or a posting's record; raises msgspec.MsgspecError for what was never written."""
    found = decode_posting(record) if is_posting else decode_decision(record)
    return key_of(found.caller, found.request_id)


def key_of_either(decision: bytes | None, posting: bytes | None) -> str:
    """Read the key of whichever record is there; empty where there is none, or none that can be read."""
    record = posting if decision is None else decision
    try:
        return key_of_record(record, is_posting=decision is None) if record is not None else ""
    except msgspec.MsgspecError:
        return ""


def is_founded(account_id: str, business_day: int, record: bytes | None) -> bool:
    """Claim that a promise's decision is there, is its own, and promised something."""
    try:
        decision = decode_decision(record) if record is not None else None
    except msgspec.MsgspecError:
        return False
    return (
        decision is not None
        and (decision.account_id, decision.business_day) == (account_id, business_day)
        and decision.promised_minor != 0
    )


def news_bytes(news: tuple[tuple[int, int], ...]) -> bytes:
    """Write pairs of fact index and value."""
    return encode(news)


def news_of(content: bytes) -> tuple[tuple[int, int], ...]:
    """Read pairs of fact index and value."""
    return _decode_news(content)
