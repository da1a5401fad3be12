"""The desk: everything beside decisions that callers ask of the engine: reads, evaluations, policy changes.

Promises strongly consistent reads (the engine has made every acknowledged decision) and that a policy change commits
before it is answered. Reads work while the store takes no writes.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from service.domain.account import Account, known, settled
from service.domain.book import key_of
from service.domain.daily_run import LAST_ID
from service.domain.decide import decide
from service.domain.decision import DecideCommand, Decided, Decision
from service.domain.draw import Hold, Posted, hold_at
from service.domain.errors import (
    AccountNotFound,
    DecisionNotFound,
    HoldNotFound,
    InvalidRequest,
    PolicyNotFound,
    PolicyStateRefused,
    PolicyVersionExists,
    PostingNotFound,
    Violation,
)
from service.domain.explain import Explanation, explain
from service.domain.mode import NORMAL
from service.domain.policy import Policy
from service.domain.policy_life import (
    PolicyChange,
    PolicyRecord,
    PolicyState,
    promoted,
    refuse_currency,
    rollback_target,
    rolled_back,
)
from service.engine import once
from service.engine.control import COMPILED_MAX, Control
from service.engine.execute import moment_of, newcomer, transaction
from service.engine.ports.calendar import Calendar
from service.engine.ports.policies import PolicyReader
from service.engine.ports.store import Store


class CheckedPolicy(NamedTuple):
    """What a document says of itself, once it has passed every check; the hash in hexadecimal."""

    version: str
    product: str
    currency: str
    content_hash: str


class PolicyOrder(NamedTuple):
    """A change of the policies that a caller asks for; which fields count depends on the action."""

    action: str
    key: str
    fingerprint: bytes
    caller: str
    version: str = ""
    product: str = ""
    document: str = ""
    reason: str = ""
    from_version: str = ""
    """With a roll-back: the version that it is to leave; empty: whichever decides."""
    effective_us: int = 0
    """With a promotion: from when on it is to hold, microseconds since the epoch UTC; 0: at once."""
    is_tried: bool = False
    """With a roll-back: say what it would do, and write nothing."""
    checked: CheckedPolicy | None = None
    """What the document was found to be, where it was checked before; else it is checked on the way."""


class PolicyChanged(NamedTuple):
    """The version as it is after a change, the change as it was made, and whether that was before."""

    record: PolicyRecord
    change: PolicyChange
    replayed: bool


class Evaluation(NamedTuple):
    """What a decision would be, the account after it, and why."""

    decision: Decision
    account: Account
    policy: Policy
    explanation: Explanation


class Desk:
    """Reads, evaluations and policy changes over one store."""

    def __init__(self, store: Store, control: Control, calendar: Calendar, read_policy: PolicyReader) -> None:
        self._store = store
        self._control = control
        self._calendar = calendar
        self._read_policy = read_policy

    def policy(self, version: str) -> Policy:
        """Give a published version, compiled; raises PolicyNotFound."""
        return self._control.version(self._store, version)

    def account(self, account_id: str) -> Account:
        """Give an account as it stands now; raises AccountNotFound."""
        account = self._store.account(account_id)
        if account is None:
            raise AccountNotFound(account_id=account_id)
        if not account.holds and account.behaviour is None and account.temporary is None:
            return account
        now_us = self._store.control().now_us
        today = self._calendar.business_day(now_us)
        return settled(account, now_us)._replace(profile=known(account, today))

    def hold(self, account_id: str, number: int) -> tuple[Hold, str]:
        """Give a hold as it stands now, and its currency; raises AccountNotFound or HoldNotFound."""
        account = self.account(account_id)
        hold = self._store.hold(account_id, number)
        if hold is None:
            raise HoldNotFound(account_id=account_id, hold_id=f"{number:016x}")
        return hold_at(hold, self._store.control().now_us), account.currency

    def accounts_after(self, after_id: str, count: int) -> Iterator[Account]:
        """Give accounts as they stand now, by their ids, from after one ("": from the first), so many at most."""
        control = self._store.control()
        today = self._calendar.business_day(control.now_us)
        for account in self._store.runs.accounts_after(after_id, LAST_ID, count):
            yield settled(account, control.now_us)._replace(profile=known(account, today))

    def posting(self, number: int) -> Posted:
        """Give a posting by its number; raises PostingNotFound."""
        posted = self._store.posting(number) if number < 1 << 63 else None
        if posted is None:
            raise PostingNotFound(posting_id=f"{number:016x}")
        return posted

    def posting_of(self, caller: str, request_id: str) -> Posted:
        """Give the posting that a caller made with a key, while that is kept; raises PostingNotFound."""
        key = key_of(caller, request_id)
        found = self._store.recorded([key]).get(key)
        if not isinstance(found, Posted):
            raise PostingNotFound(request_id=request_id)
        return found

    def holds(self, account_id: str, before: int, count: int) -> tuple[list[Hold], str]:
        """Give holds as they stand now, newest first, from before a number (0: the newest), and their currency.

        Raises AccountNotFound.
        """
        account = self.account(account_id)
        now_us = self._store.control().now_us
        return [
            hold_at(hold, now_us) for hold in self._store.account_holds(account_id, before, count)
        ], account.currency

    def postings(self, account_id: str, before: int, count: int) -> list[Posted]:
        """Give an account's postings, newest first, from before a number (0: the newest); raises AccountNotFound."""
        self.account(account_id)
        return self._store.account_postings(account_id, before, count)

    def decision(self, decision_id: str) -> Decided:
        """Give a decision by its id, 16 hexadecimal digits; raises DecisionNotFound."""
        number = int(decision_id, 16)
        decided = self._store.decision(number) if number < 1 << 63 else None
        if decided is None:
            raise DecisionNotFound(decision_id=decision_id)
        return decided

    def decision_of(self, caller: str, request_id: str) -> Decided:
        """Give the decision that a caller made with a key, while that is kept; raises DecisionNotFound."""
        key = key_of(caller, request_id)
        found = self._store.recorded([key]).get(key)
        if not isinstance(found, Decided):
            raise DecisionNotFound(request_id=request_id)
        return found

    def account_decisions(self, account_id: str, before: int, count: int) -> list[Decided]:
        """Give an account's decisions, newest first, from before a number (0: the newest); raises AccountNotFound."""
        self.account(account_id)
        return self._store.account_decisions(account_id, before, count)

    def explained(self, decision_id: str) -> tuple[Decided, Policy, Explanation]:
        """Give a decision with its policy and explanation; raises DecisionNotFound."""
        decided = self.decision(decision_id)
        policy = self.policy(decided.decision.policy_version)
        mode = self._control.recorded_mode(self._store, decided.decision.activations)
        return decided, policy, explain(decided.decision, policy, mode)

    def evaluate(self, command: DecideCommand, policy_version: str, mode_id: str) -> Evaluation:
        """Compute a decision without writing it; raises what the decision would.

        `mode_id` is "normal", or the mode in force, which is also meant where it is empty.
        """
        row = self._control.refresh(self._store)
        if self._control.refusal is not None:
            raise self._control.refusal
        in_force = self._control.mode
        if mode_id not in ("", NORMAL.mode_id, in_force.mode_id):
            raise InvalidRequest((Violation("mode_id", f"send normal, {in_force.mode_id} (in force) or nothing"),))
        mode = NORMAL if mode_id == NORMAL.mode_id else in_force
        account = self._store.account(command.account_id) or newcomer(command, self._control)
        policy = self.policy(policy_version) if policy_version else self._control.active(account.product)
        if policy.product != account.product:
            raise PolicyNotFound(
                "this version decides for another product", version=policy_version, product=account.product
            )
        after, decision = decide(command, account, policy, mode, moment_of(self._calendar, row))
        # A playbook may have chosen another policy than the one that is active.
        policy = self.policy(decision.policy_version)
        return Evaluation(decision, after, policy, explain(decision, policy, mode))

    def check(self, document: str) -> CheckedPolicy:
        """Give what a new document says of itself; raises InvalidRequest with every violation."""
        policy, content_hash = self._read_policy(document, is_new=True)
        refuse_currency(policy)
        return CheckedPolicy(policy.version, policy.product, policy.currency, content_hash)

    def check_to_publish(self, document: str) -> CheckedPolicy:
        """Give what a document says of itself; raises InvalidRequest with every violation.

        A version that was published before more was asked of new ones is still the same content.
        """
        try:
            return self.check(document)
        except InvalidRequest:
            existing = self._published(document)
            if existing is None:
                raise
            return CheckedPolicy(existing.version, existing.product, existing.currency, existing.content_hash)

    def prepare(self, document: str) -> None:
        """Compile a document that passed its checks, so that the engine finds it compiled; raises InvalidRequest."""
        self._read_policy(document)

    def unprepared(self) -> Iterator[Callable[[], None]]:
        """Give what prepares each version that may be put in force again, the one used last first."""
        used = sorted(self._store.policies(), key=lambda one: max(one.activated_us, one.published_us), reverse=True)
        return (partial(self.prepare, record.document) for record in used[:COMPILED_MAX])

    def policy_record(self, version: str) -> PolicyRecord:
        """Give a published version; raises PolicyNotFound."""
        record = self._store.policy(version)
        if record is None:
            raise PolicyNotFound("no such policy version", version=version)
        return record

    def policy_records(self, product: str) -> list[PolicyRecord]:
        """Give the versions of a product (empty: of all), newest first."""
        return [record for record in self._store.policies() if not product or record.product == product]

    def change(self, order: PolicyOrder) -> PolicyChanged:
        """Publish, promote or roll back, once for a key; durable when it returns.

        Raises InvalidRequest, IdempotencyKeyReused, PolicyNotFound, PolicyVersionExists or PolicyStateRefused.
        """
        if order.is_tried:
            records, previous_version = self._switch(order, self._store.control().now_us)
            planned = self._recorded(order, records[0], previous_version, 0)
            return PolicyChanged(self.policy_record(records[0].version), planned, replayed=False)
        with transaction(self._store, self._control) as row:
            found = self._store.policy_change(order.key)
            recorded = once.recorded(self._store, order.key, order.fingerprint, found)
            if recorded is not None:
                return PolicyChanged(self.policy_record(recorded.version), recorded, replayed=True)
            now_us = row.now_us
            self._store.enter_key(order.key, now_us)
            if order.action != "publish":
                records, previous_version = self._switch(order, now_us)
                change = self._recorded(order, records[0], previous_version, now_us)
                return PolicyChanged(records[0], self._store.write_policies(records, change), replayed=False)
            return self._publish(order, now_us)

    def _publish(self, order: PolicyOrder, now_us: int) -> PolicyChanged:
        checked = order.checked or self.check_to_publish(order.document)
        existing = self._store.policy(checked.version)
        if existing is not None:
            if existing.content_hash != checked.content_hash:
                raise PolicyVersionExists(version=existing.version, content_hash=existing.content_hash)
            # The key stands for it from now on, though the content was published before.
            change = self._store.write_policies((), self._recorded(order, existing, "", now_us))
            return PolicyChanged(existing, change, replayed=True)
        record = PolicyRecord(*checked, order.document, PolicyState.DRAFT, order.caller, now_us, 0)
        change = self._store.write_policies((record,), self._recorded(order, record, "", now_us))
        return PolicyChanged(record, change, replayed=False)

    def _published(self, document: str) -> PolicyRecord | None:
        """Give the stored version that has a document's content, if there is one."""
        try:
            policy, content_hash = self._read_policy(document)
        except InvalidRequest:
            return None
        existing = self._store.policy(policy.version)
        return existing if existing is not None and existing.content_hash == content_hash else None

    def _switch(self, order: PolicyOrder, now_us: int) -> tuple[tuple[PolicyRecord, ...], str]:
        """Give the records after a promotion or roll-back, the version that decides first, and the one that is left."""
        promotes = order.action == "promote"
        if order.effective_us > now_us:
            later = Violation("effective_at", "changes can't be scheduled yet; leave it out, or send a past time")
            raise InvalidRequest((later,))
        if order.version:
            record = self.policy_record(order.version)
        else:
            record = self.policy_record(rollback_target(self._store.policy_switches(order.product), order.product))
        if order.product and record.product != order.product:
            raise PolicyNotFound("this version decides for another product", version=record.version)
        previous_version = self._store.active_versions().get(record.product, "")
        active = self._store.policy(previous_version) if previous_version else None
        if order.from_version not in ("", previous_version):
            raise PolicyStateRefused(
                "another version decides by now; look again", version=order.from_version, active=previous_version
            )
        if not promotes and record.version == previous_version:
            again = Violation("to_version", f"{record.version} decides already; name the version to return to")
            raise InvalidRequest((again,))
        records = (promoted if promotes else rolled_back)(record, active, now_us)
        if active is not None and active.currency != record.currency:
            raise PolicyNotFound(
                f"the product's currency is {active.currency}; accounts can't change theirs", version=record.version
            )
        return records, previous_version

    @staticmethod
    def _recorded(order: PolicyOrder, record: PolicyRecord, previous_version: str, now_us: int) -> PolicyChange:
        return PolicyChange(
            order.key, order.fingerprint, order.action, record.version, record.product, previous_version, order.caller,
            order.reason, now_us,
        )  # fmt: skip
