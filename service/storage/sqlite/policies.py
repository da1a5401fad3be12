"""Policy versions and what was done to them in SQLite.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Sequence
from typing import Final

from service.domain.policy_life import PolicyChange, PolicyRecord, PolicyState
from service.storage.sqlite.forms import Form, number_of
from service.storage.sqlite.sql import STATEMENTS, Execute, ExecuteMany

SWITCHES_MAX: Final = 1_000
"""So many promotions and roll-backs of a product are looked back on."""

POLICIES: Final = Form(PolicyRecord, {"state": number_of(PolicyState)}, reads="policy policies", enters="enter_policy")
POLICY_CHANGES: Final = Form(PolicyChange, reads="policy_change policy_switches", enters="insert_policy_change")


class SqlitePolicies:
    """The part of `SqliteStore` that knows policies."""

    _run: Execute
    _run_many: ExecuteMany

    def active_versions(self) -> dict[str, str]:
        """Read which version decides for each product."""
        return dict(self._run(STATEMENTS["active_versions"], ()))

    def policy(self, version: str) -> PolicyRecord | None:
        """Find one policy version."""
        return POLICIES.first(self._run(STATEMENTS["policy"], (version,)))

    def policies(self) -> list[PolicyRecord]:
        """Read all versions, newest first."""
        return POLICIES.records(self._run(STATEMENTS["policies"], ()))

    def policy_switches(self, product: str) -> list[PolicyChange]:
        """Read a product's promotions and roll-backs, the newest `SWITCHES_MAX`, oldest first."""
        found = self._run(STATEMENTS["policy_switches"], (product, SWITCHES_MAX))
        return POLICY_CHANGES.records(found[::-1])

    def policy_change(self, key: str) -> PolicyChange | None:
        """Find the change that a key stands for."""
        return POLICY_CHANGES.first(self._run(STATEMENTS["policy_change"], (key,)))

    def write_policies(self, records: Sequence[PolicyRecord], change: PolicyChange) -> PolicyChange:
        """Enter versions or their new states, in reverse so that the old one retires first, and give the change."""
        self._run_many("enter_policy", [POLICIES.bound(record) for record in reversed(records)])
        entered = self._run(STATEMENTS["insert_policy_change"], POLICY_CHANGES.bound(change))
        self._run(STATEMENTS["next_generation"], ())
        return change._replace(sequence=int(entered[0][0]))
