"""Policies: checked, published, promoted, rolled back.

Promises that a change commits before it is answered, once for a key.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from service.domain.errors import (
    InvalidRequest,
    PolicyNotFound,
    PolicyStateRefused,
    PolicyVersionExists,
    Violation,
)
from service.domain.policy_life import (
    PolicyChange,
    PolicyRecord,
    PolicyState,
    promoted,
    refuse_currency,
    rollback_target,
    rolled_back,
)
from service.engine.control import COMPILED_MAX, Control
from service.engine.once import once
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


class PolicyDesk:
    """The policies of one store."""

    def __init__(self, store: Store, control: Control, read_policy: PolicyReader) -> None:
        self._store = store
        self._control = control
        self._read_policy = read_policy

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

    def record(self, version: str) -> PolicyRecord:
        """Give a published version; raises PolicyNotFound."""
        record = self._store.policy(version)
        if record is None:
            raise PolicyNotFound("no such policy version", version=version)
        return record

    def records(self, product: str) -> list[PolicyRecord]:
        """Give the versions of a product (empty: of all), newest first."""
        return [record for record in self._store.policies() if not product or record.product == product]

    def change(self, order: PolicyOrder) -> PolicyChanged:
        """Publish, promote or roll back, once for a key; durable when it returns.

        Raises InvalidRequest, IdempotencyKeyReused, PolicyNotFound, PolicyVersionExists or PolicyStateRefused.
        """
        if order.is_tried:
            records, previous_version = self._switch(order, self._store.control().now_us)
            planned = self._recorded(order, records[0], previous_version, 0)
            return PolicyChanged(self.record(records[0].version), planned, replayed=False)
        with once(self._store, self._control, order, self._store.policy_change) as (row, found):
            if found is not None:
                return PolicyChanged(self.record(found.version), found, replayed=True)
            now_us = row.now_us
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
            record = self.record(order.version)
        else:
            record = self.record(rollback_target(self._store.policy_switches(order.product), order.product))
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
