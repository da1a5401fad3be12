"""Rows of accounts, decisions and postings: what a store keeps of them, and back.

Columns are what a statement reads; the rest is one blob, `record` (storage/records.py). What is personal stands in
blobs of its own, `facts` and `behaviour`; a decision's record holds the hash of its facts, so that they can be erased
later and the chain still verifies.

Promises that a record read is equal to the record written, and that each decision and posting is sealed by the hash
chain of its account: chain = SHA-256(chain before + record as stored).
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from service.domain.account import Account, Status
from service.domain.book import Book
from service.domain.decision import Decided
from service.domain.draw import Posted
from service.domain.facts import ERASED, Profile
from service.storage.behaviours import behaviour_bytes, behaviour_of
from service.storage.records import (
    FORM,
    Written,
    decision_of,
    decision_record,
    decode_account,
    decode_decision,
    decode_posting,
    encode,
    facts_bytes,
    facts_hash,
    facts_of,
    posting_of,
    posting_record,
    profile_of,
    refuse_unknown,
)

_STATUSES: Final = {int(status): status for status in Status}


class DecisionRow(NamedTuple):
    """A decision's columns."""

    number: int
    account_id: str
    record: bytes
    facts: bytes | None
    """The profile; None where it was erased."""
    chain: bytes


class PostingRow(NamedTuple):
    """A posting's columns."""

    number: int
    account_id: str
    record: bytes
    chain: bytes


class AccountRow(NamedTuple):
    """An account's columns: the heads of its two chains stand last."""

    account_id: str
    product: str
    currency: str
    status: int
    record: bytes
    facts: bytes | None
    """The profile; None where it was erased."""
    behaviour: bytes
    chain: bytes
    postings_chain: bytes


class FoundDecision(NamedTuple):
    """A decision's columns with its account's constant parts."""

    product: str
    currency: str
    number: int
    account_id: str
    record: bytes
    facts: bytes | None
    chain: bytes


class FoundKey(NamedTuple):
    """A key and what it stands for, with the columns of its decision; nothing where it stands for something else."""

    key: str
    stands_for: int
    product: str
    currency: str
    number: int
    account_id: str
    record: bytes
    facts: bytes | None
    chain: bytes


class FoundPosting(NamedTuple):
    """A posting's columns with its account's constant parts."""

    product: str
    currency: str
    number: int
    account_id: str
    record: bytes
    chain: bytes


def chain_after(chain: bytes, record: bytes) -> bytes:
    """Give the chain's link after a record."""
    return sha256(chain + record).digest()


def decided(found: FoundDecision | FoundKey, *, replayed: bool) -> Decided:
    """Read a decision's columns."""
    return Decided(decision_of(found.record, found.facts), found.product, found.currency, replayed)


def posted(found: FoundPosting, *, replayed: bool) -> Posted:
    """Read a posting's columns."""
    return Posted(posting_of(found.record), found.product, found.currency, replayed)


class Sheet(NamedTuple):
    """A book's new rows, each log's sealed by its chains."""

    decisions: list[DecisionRow]
    postings: list[PostingRow]
    created: list[AccountRow]
    changed: list[AccountRow]


def sheet(book: Book) -> Sheet:
    """Write a book into rows."""
    accounts = book.accounts
    chains = {name: account.chain for name, account in accounts.items()}
    postings_chains = {name: account.postings_chain for name, account in accounts.items()}
    written: Written = {}
    facts = [facts_of(decision.profile, written) for _, decision in book.decisions]
    decisions = [
        (decision.account_id, decision_record(decision, one.hash))
        for (_, decision), one in zip(book.decisions, facts, strict=True)
    ]
    postings = [(posting.account_id, posting_record(posting)) for _, posting in book.postings]
    links = _links(decisions, chains)
    posting_links = _links(postings, postings_chains)

    def sealed(name: str) -> AccountRow:
        return account_row(accounts[name], chains[name], postings_chains[name], written)

    return Sheet(
        [
            DecisionRow(decision.number, name, record, one.content, link)
            for (_, decision), (name, record), one, link in zip(book.decisions, decisions, facts, links, strict=True)
        ],
        [
            PostingRow(posting.number, name, record, link)
            for (_, posting), (name, record), link in zip(book.postings, postings, posting_links, strict=True)
        ],
        [sealed(name) for name in book.created],
        [sealed(name) for name in book.changed],
    )


def _links(sealed: Sequence[tuple[str, bytes]], heads: dict[str, bytes]) -> list[bytes]:
    """Give each record's link of its account's chain, and move the heads on to the last of them."""
    links = []
    for account_id, record in sealed:
        link = heads[account_id] = chain_after(heads[account_id], record)
        links.append(link)
    return links


def is_intact(found: FoundDecision, chain_before: bytes) -> bool:
    """Claim that a stored decision carries the link of its record, and that its columns are its record's.

    Facts that were erased agree with any. Raises msgspec.MsgspecError for a record that was never written.
    """
    record = decode_decision(found.record)
    return (
        chain_after(chain_before, found.record) == found.chain
        and (record.number, record.account_id) == (found.number, found.account_id)
        and (found.facts is None or facts_hash(found.facts) == record.facts_hash)
    )


def is_posting_intact(found: FoundPosting, chain_before: bytes) -> bool:
    """Claim the same of a stored posting."""
    record = decode_posting(found.record)
    return (
        chain_after(chain_before, found.record) == found.chain
        and (record.number, record.account_id) == (found.number, found.account_id)
    )  # fmt: skip


def account_row(account: Account, chain: bytes, postings_chain: bytes, written: Written) -> AccountRow:
    """Give an account's columns with the heads of its chains; `written` as for its decisions."""
    record = encode((
        FORM, account.limit_minor, account.held_minor, account.outstanding_minor, account.version,
        account.last_raise_day, account.last_cut_day, account.movements, account.last_decision, account.holds,
        account.last_posting, account.temporary, account.limit_since_day,
    ))  # fmt: skip
    return AccountRow(
        account.account_id, account.product, account.currency, int(account.status), record,
        _account_facts(account.profile, written), behaviour_bytes(account.behaviour), chain, postings_chain,
    )  # fmt: skip


def _account_facts(profile: Profile, written: Written) -> bytes | None:
    if profile is ERASED:
        return None
    found = written.get(id(profile))
    # No record vouches for an account's facts: what no decision of the book has written needs no hash.
    return found.content if found is not None else facts_bytes(profile)


def account(row: AccountRow) -> Account:
    """Read an account's columns."""
    account_id, product, currency, status, content, facts, behaviour, chain, postings_chain = row
    record = decode_account(content)
    refuse_unknown(record.form)
    return Account(
        account_id, product, currency, _STATUSES[status], record.limit_minor, record.held_minor,
        record.outstanding_minor, record.version, profile_of(facts), record.last_raise_day, record.last_cut_day,
        record.movements, record.last_decision, chain, record.holds, record.last_posting, postings_chain,
        record.temporary, behaviour_of(behaviour) if behaviour else None, record.limit_since_day,
    )  # fmt: skip
