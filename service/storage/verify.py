"""Verify a store: does everything that was promised hold in what is written?

Promises to name each account or decision at fault, up to a bound, and to look at every row: hash chains, an account's
limit equal to its last decision's, versions without a gap, keys with their records, exposure = holds + outstanding,
every promise settled by its decision; and to name each table that holds something else than was written, by its seal.
Reads one record after another and holds no more than one account's open and settled holds.
"""

from collections.abc import Iterator
from typing import NamedTuple

from service.domain.account import Account
from service.domain.decision import Decision, Outcome, own_limit_minor
from service.domain.draw import DrawKind, Hold, Posting, left_minor
from service.domain.errors import StoreUnavailable
from service.engine.ports.ledger import Ledger, Unreadable

FAULTS_MAX = 100


class Verification(NamedTuple):
    """What was looked at, and what is wrong; whole when nothing is."""

    accounts: int
    decisions: int
    postings: int
    faults: tuple[str, ...]


def verify(ledger: Ledger) -> Verification:
    """Look at every account, decision and key of a ledger."""
    damage = ledger.damage()
    try:
        found = _verify_records(ledger)
    except StoreUnavailable:
        if not damage:
            raise
        found = Verification(0, 0, 0, ("file: the rest could not be read",))
    except Unreadable as error:
        found = Verification(0, 0, 0, (f"file: {error}; the rest was not looked at",))
    return found._replace(faults=(*damage, *found.faults)[:FAULTS_MAX])


def _verify_records(ledger: Ledger) -> Verification:
    faults: list[str] = []
    accounts = walked = postings = 0
    for account, unread in _accounts(ledger):
        accounts += 1
        if account is None:
            wrong = [unread]
        else:
            count, wrong_decisions = _verify_account(ledger, account)
            walked += count
            posted, wrong_postings = _verify_postings(ledger, account)
            postings += posted
            wrong = wrong_decisions + wrong_postings
        if len(faults) < FAULTS_MAX:
            faults += wrong
    return Verification(accounts, walked, postings, (*faults, *_strays(ledger, walked, postings)))


def _accounts(ledger: Ledger) -> Iterator[tuple[Account | None, str]]:
    """Read every account, or what is said of one that can't be read."""
    accounts = ledger.accounts()
    while True:
        try:
            yield next(accounts), ""
        except StopIteration:
            return
        except Unreadable as error:
            yield None, str(error)


def _strays(ledger: Ledger, decisions: int, postings: int) -> Iterator[str]:
    """Say what belongs to no record, by how many of them the accounts' chains have."""
    stray = ledger.decision_count() - decisions
    if stray:
        yield f"decisions: {stray} belong to no account's chain"
    stray = ledger.posting_count() - postings
    if stray:
        yield f"postings: {stray} belong to no account's chain"
    without = ledger.keys_without_decision()
    if without:
        yield f"idempotency keys: {without} without their decision or posting"
    unfounded = ledger.runs.entitlements_unfounded()
    if unfounded:
        yield f"entitlements: {unfounded} without a decision that settles them"


def _verify_account(ledger: Ledger, account: Account) -> tuple[int, list[str]]:
    """Walk one account's chain from its head; gives its length and what is wrong."""
    name = f"account {account.account_id}"
    faults: list[str] = []
    number, version, link, limit = account.last_decision, account.version, account.chain, account.limit_minor
    walked = 0
    while number:
        try:
            sealed = ledger.sealed(number)
        except Unreadable as error:
            faults.append(f"{name}: {error}")
            break
        if sealed is None:
            faults.append(f"{name}: decision {number:016x} is missing")
            break
        walked += 1
        decision = sealed.decided.decision
        if walked == 1:
            faults += _differences(account, decision)
        if not sealed.is_intact:
            faults.append(f"{name}: decision {number:016x} was altered after it was written")
        if walked == 1 and sealed.link != link:
            faults.append(f"{name}: its chain ends elsewhere than in its last decision")
        if decision.account_id != account.account_id:
            faults.append(f"{name}: decision {number:016x} belongs to another account")
            break
        if own_limit_minor(decision) != limit:
            faults.append(f"{name}: limit {limit} does not follow from decision {number:016x}")
        if decision.account_version != version:
            faults.append(f"{name}: version {version} does not follow from decision {number:016x}")
        if not 0 <= decision.previous < number:
            faults.append(f"{name}: decision {number:016x} links forward")
            break
        number, version, limit = decision.previous, version - 1, decision.old_limit_minor
    if version or limit:
        faults.append(f"{name}: its decisions do not begin at version 1 and limit 0")
    return walked, faults


def _differences(account: Account, last: Decision) -> Iterator[str]:
    """Say in what an account differs from its last decision; its limit, version and chain are compared elsewhere."""
    name, number = f"account {account.account_id}", f"decision {last.number:016x}"
    if account.status is not last.status:
        yield f"{name}: status {account.status.name.lower()} does not follow from {number}"
    if last.number > account.last_posting and account.outstanding_minor != last.outstanding_minor:
        yield f"{name}: outstanding {account.outstanding_minor} does not follow from {number}"


def _verify_postings(ledger: Ledger, account: Account) -> tuple[int, list[str]]:
    """Walk one account's postings from their head; gives their count and what is wrong."""
    name = f"account {account.account_id}"
    faults: list[str] = []
    number, owed, walked = account.last_posting, account.outstanding_minor, 0
    seen: set[int] = set()
    while number:
        try:
            sealed = ledger.sealed_posting(number)
        except Unreadable as error:
            faults.append(f"{name}: {error}")
            break
        if sealed is None:
            faults.append(f"{name}: posting {number:016x} is missing")
            break
        walked += 1
        posting = sealed.posting
        what = f"posting {number:016x}"
        if not sealed.is_intact:
            faults.append(f"{name}: {what} was altered after it was written")
        if walked == 1 and sealed.link != account.postings_chain:
            faults.append(f"{name}: its chain ends elsewhere than in its last posting")
        if posting.account_id != account.account_id or not 0 <= posting.previous < number:
            faults.append(f"{name}: {what} is another's, or links forward")
            break
        if posting.outstanding_minor != owed:
            faults.append(f"{name}: outstanding {owed} does not follow from {what}")
        authorised = posting.kind is DrawKind.AUTHORIZE and posting.outcome is Outcome.APPROVED
        if authorised and posting.held_minor + posting.outstanding_minor > posting.limit_minor:
            faults.append(f"{name}: {what} took exposure beyond the limit")
        hold = posting.hold
        if hold is not None and hold.number not in seen:
            # The newest posting about a hold says what became of it.
            seen.add(hold.number)
            faults += _verify_hold(ledger, name, hold)
        number, owed = posting.previous, posting.outstanding_minor - _owed_more(posting)
    holds = {hold.number: left_minor(hold) for hold in ledger.holds_open(account.account_id)}
    if sum(hold.left_minor for hold in account.holds) != account.held_minor:
        faults.append(f"{name}: held {account.held_minor} is not the sum of its holds")
    faults += [
        f"{name}: hold {hold.number:016x} differs from its record"
        for hold in account.holds
        if holds.get(hold.number) != hold.left_minor
    ]
    return walked, faults


def _verify_hold(ledger: Ledger, name: str, left: Hold) -> Iterator[str]:
    """Hold the record of a hold against what the newest posting about it left."""
    try:
        if ledger.hold(left.account_id, left.number) != left:
            yield f"{name}: hold {left.number:016x} is not as its last posting left it"
    except Unreadable as error:
        yield f"{name}: {error}"


def _owed_more(posting: Posting) -> int:
    """Give by how much a posting raised what is outstanding, in minor units."""
    if posting.kind is DrawKind.CAPTURE:
        return posting.amount_minor
    return -posting.amount_minor if posting.kind is DrawKind.REPAY else 0
