"""Policy versions and what was done to them in memory.

Promises the same transaction as the rest of the store, whose records it reads.
"""

from collections.abc import Sequence

from service.domain.policy_life import PolicyChange, PolicyRecord


class MemoryPolicies:
    """The part of `MemoryStore` that knows policies."""

    _policies: dict[str, PolicyRecord]
    _changes: dict[str, PolicyChange]
    _pending_policies: list[tuple[Sequence[PolicyRecord], PolicyChange]]

    def active_versions(self) -> dict[str, str]:
        """Read which version decides for each product."""
        return {record.product: record.version for record in self._policies.values() if record.state.name == "ACTIVE"}

    def policy(self, version: str) -> PolicyRecord | None:
        """Find one policy version."""
        return self._policies.get(version)

    def policies(self) -> list[PolicyRecord]:
        """Read all versions, newest first."""
        return list(reversed(self._policies.values()))

    def policy_switches(self, product: str) -> list[PolicyChange]:
        """Read a product's promotions and roll-backs, oldest first."""
        return [one for one in self._changes.values() if one.product == product and one.action != "publish"]

    def policy_change(self, key: str) -> PolicyChange | None:
        """Find the change that a key stands for."""
        return self._changes.get(key)

    def write_policies(self, records: Sequence[PolicyRecord], change: PolicyChange) -> PolicyChange:
        """Enter versions or their new states, and the change; gives the change as it is entered."""
        change = change._replace(sequence=len(self._changes) + len(self._pending_policies) + 1)
        self._pending_policies.append((records, change))
        return change
