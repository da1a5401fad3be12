"""Rows of accounts, decisions and postings in the form of before: a column a field.

Goes with `storage/sqlite/before.py` when no store has that form any more; until then a store that was written in it is
read and written in it, account by account, until each was moved.

Promises that a record read is equal to the record written, and that each decision's row is sealed by the hash chain of
its account: chain = SHA-256(chain before + canonical row).
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from service.domain.account import Account, Growth, Movement, OpenHold, Status, Temporary
from service.domain.book import Book
from service.domain.decision import Ask, Decided, Decision, Kind, Outcome
from service.domain.draw import DrawKind, Hold, Posted, Posting
from service.domain.facts import Profile
from service.domain.rules import FIRST
from service.storage.behaviours import behaviour_bytes, behaviour_of

Row = tuple[Any, ...]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_profile: Final = msgspec.msgpack.Decoder(Profile).decode
_decode_growth: Final = msgspec.msgpack.Decoder(Growth).decode
_decode_points: Final = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_decode_movements: Final = msgspec.msgpack.Decoder(tuple[int, int, tuple[Movement, ...]]).decode
_decode_holds: Final = msgspec.msgpack.Decoder(tuple[OpenHold, ...]).decode
_decode_temporary: Final = msgspec.msgpack.Decoder(Temporary).decode
_decode_asked: Final = msgspec.msgpack.Decoder(tuple[Ask | None, Temporary | None]).decode
_decode_hold: Final = msgspec.msgpack.Decoder(Hold).decode
_KINDS: Final = {int(kind): kind for kind in Kind}
_OUTCOMES: Final = {int(outcome): outcome for outcome in Outcome}
_STATUSES: Final = {int(status): status for status in Status}


def chain_after(chain: bytes, row: Row) -> bytes:
    """Give the chain's link after a row (without its chain column)."""
    return sha256(chain + _encode(row)).digest()


def _sealed(row: Row) -> Row:
    """Give what of a decision's row its link stands for: columns that came later count where they hold something."""
    if row[-1] != FIRST:
        return row
    *first, promised, temporary, _ = row
    return (*first, promised, temporary) if temporary else (*first, promised) if promised else tuple(first)


def _sealed_posting(row: Row) -> Row:
    """Give what of a posting's row its link stands for, as of a decision's."""
    if row[-1] or row[-2]:
        return row
    *first, _, _ = row
    return tuple(first)


def decision_row(decision: Decision, written: dict[int, bytes]) -> Row:
    """Give a decision's columns, without the chain; `written` holds profiles that are written already, by identity."""
    (
        number, previous, account_id, account_version, kind, outcome, status, old_limit, new_limit, held, outstanding,
        profile, growth, points, reasons, policy_version, mode_id, activations, caller, request_id, fingerprint,
        trace_id, decided_us, business_day, notice_day, promised, asked, temporary, judged_by,
    ) = decision  # fmt: skip
    return (
        number, previous, account_id, account_version, int(kind), int(outcome), int(status), old_limit, new_limit, held,
        outstanding, _profile_bytes(profile, written), growth_bytes(growth), _points_bytes(points), ",".join(reasons),
        policy_version, mode_id, ",".join(activations), caller, request_id, fingerprint, trace_id, decided_us,
        business_day, notice_day, promised, _encode((asked, temporary)) if asked or temporary else b"", judged_by,
    )  # fmt: skip


def posting_row(posting: Posting) -> Row:
    """Give a posting's columns, without the chain."""
    number, previous, account_id, kind, outcome, amount, hold, limit, held, outstanding, reasons, *rest = posting
    return (
        number, previous, account_id, int(kind), int(outcome), amount, _encode(hold) if hold else b"", limit, held,
        outstanding, ",".join(reasons), *rest,
    )  # fmt: skip


def posted(row: Sequence[Any], *, replayed: bool) -> Posted:
    """Read product, currency and a posting's columns, its link last."""
    (
        product, currency, number, previous, account_id, kind, outcome, amount, hold, limit, held, outstanding, reasons,
        *rest, _
    ) = row  # fmt: skip
    posting = Posting(
        number, previous, account_id, DrawKind(kind), _OUTCOMES[outcome], amount, _decode_hold(hold) if hold else None,
        limit, held, outstanding, tuple(reasons.split(",")) if reasons else (), *rest,
    )  # fmt: skip
    return Posted(posting, product, currency, replayed)


def _profile_bytes(profile: Profile, written: dict[int, bytes]) -> bytes:
    """Write a profile once while `written` lives: a decision and its account hold the same one, and a book holds both.

    It is known by its identity, since to hash one takes longer than to write it.
    """
    found = written.get(id(profile))
    if found is None:
        found = written[id(profile)] = _encode(profile)
    return found


@lru_cache(maxsize=1024)
def growth_bytes(growth: Growth) -> bytes:
    """Write a growth; cached because most decisions of a batch hold the same one."""
    return _encode(growth)


@lru_cache(maxsize=1024)
def _points_bytes(points: tuple[int, ...]) -> bytes:
    return _encode(points)


def decided(row: Sequence[Any], *, replayed: bool) -> Decided:
    """Read product, currency and a decision's columns, its link last."""
    (
        product, currency, number, previous, account_id, account_version, kind, outcome, status, old_limit, new_limit,
        held, outstanding, profile, growth, points, reasons, policy_version, mode_id, activations, caller, request_id,
        fingerprint, trace_id, decided_us, business_day, notice_day, promised, temporary, judged_by, _,
    ) = row  # fmt: skip
    decision = Decision(
        number, previous, account_id, account_version, _KINDS[kind], _OUTCOMES[outcome], _STATUSES[status], old_limit,
        new_limit, held, outstanding, _decode_profile(profile), _decode_growth(growth), _decode_points(points),
        tuple(reasons.split(",")), policy_version, mode_id, tuple(activations.split(",")) if activations else (),
        caller, request_id, fingerprint, trace_id, decided_us, business_day, notice_day, promised,
        *(_decode_asked(temporary) if temporary else (None, None)), judged_by,
    )  # fmt: skip
    return Decided(decision, product, currency, replayed)


class Sheet(NamedTuple):
    """A book's new rows, each log's sealed by its chains: the link stands last."""

    decisions: list[Row]
    postings: list[Row]
    created: list[Row]
    changed: list[Row]


def sheet(book: Book) -> Sheet:
    """Write a book into rows."""
    accounts = book.accounts
    chains = {name: account.chain for name, account in accounts.items()}
    postings_chains = {name: account.postings_chain for name, account in accounts.items()}
    written: dict[int, bytes] = {}
    decisions = [decision_row(decision, written) for _, decision in book.decisions]
    postings = [posting_row(posting) for _, posting in book.postings]
    links = _links(
        [(decision.account_id, _sealed(row)) for (_, decision), row in zip(book.decisions, decisions, strict=True)],
        chains,
    )
    posting_links = _links(
        [(posting.account_id, _sealed_posting(row)) for (_, posting), row in zip(book.postings, postings, strict=True)],
        postings_chains,
    )

    def sealed(name: str) -> Row:
        return account_row(accounts[name], chains[name], postings_chains[name], written)

    return Sheet(
        [(*row, link) for row, link in zip(decisions, links, strict=True)],
        [(*row, link) for row, link in zip(postings, posting_links, strict=True)],
        [sealed(name) for name in book.created],
        [sealed(name) for name in book.changed],
    )


def _links(sealed: Sequence[tuple[str, Row]], heads: dict[str, bytes]) -> list[bytes]:
    """Give each row's link of its account's chain, and move the heads on to the last of them."""
    links = []
    for account_id, row in sealed:
        link = heads[account_id] = chain_after(heads[account_id], row)
        links.append(link)
    return links


def decision_link(chain_before: bytes, row: Row) -> bytes:
    """Give the chain's link after a decision's row, without its chain column."""
    return chain_after(chain_before, _sealed(row))


def posting_link(chain_before: bytes, row: Row) -> bytes:
    """Give the chain's link after a posting's row, without its chain column."""
    return chain_after(chain_before, _sealed_posting(row))


def is_intact(row: Sequence[Any], chain_before: bytes) -> bool:
    """Claim that a stored decision (product, currency, columns, link) carries the link of its content."""
    _, _, *columns, link = row
    return decision_link(chain_before, tuple(columns)) == bytes(link)


def is_posting_intact(row: Sequence[Any], chain_before: bytes) -> bool:
    """Claim that a stored posting (product, currency, columns, link) carries the link of its content."""
    _, _, *columns, link = row
    return posting_link(chain_before, tuple(columns)) == bytes(link)


def account_row(account: Account, chain: bytes, postings_chain: bytes, written: dict[int, bytes]) -> Row:
    """Give an account's columns with the heads of its chains; `written` as for its decisions."""
    return (
        account.account_id, account.product, account.currency, int(account.status), account.limit_minor,
        account.held_minor, account.outstanding_minor, account.version, _profile_bytes(account.profile, written),
        _encode((account.last_raise_day, account.last_cut_day, account.movements)),
        account.last_decision, chain, _encode(account.holds) if account.holds else b"", account.last_posting,
        postings_chain, behaviour_bytes(account.behaviour), _encode(account.temporary) if account.temporary else b"",
        account.limit_since_day,
    )  # fmt: skip


def account(row: Sequence[Any]) -> Account:
    """Read an account's columns."""
    (
        account_id, product, currency, status, limit, held, outstanding, version, profile, growth, last_decision, chain,
        holds, last_posting, postings_chain, behaviour, temporary, limit_since_day,
    ) = row  # fmt: skip
    last_raise_day, last_cut_day, movements = _decode_movements(growth)
    return Account(
        account_id, product, currency, _STATUSES[status], limit, held, outstanding, version, _decode_profile(profile),
        last_raise_day, last_cut_day, movements, last_decision, chain, _decode_holds(holds) if holds else (),
        last_posting, postings_chain, _decode_temporary(temporary) if temporary else None,
        behaviour_of(behaviour), limit_since_day,
    )  # fmt: skip
