"""The policy and mode in force: read in the deciding transaction, compiled once a version.

Promises that a batch decides by what its own transaction read, so nothing decides by an old version once a change was
acknowledged. Holds at most `COMPILED_MAX` compiled versions.
"""

from collections import OrderedDict

from service.domain.errors import PolicyNotFound
from service.domain.mode import NORMAL, Mode
from service.domain.policy import Policy
from service.engine.ports import ControlRow, PolicyReader, Store

COMPILED_MAX = 64


class Control:
    """What decides, as of the transaction that was last refreshed."""

    def __init__(self, read_policy: PolicyReader) -> None:
        self._read_policy = read_policy
        self._compiled: OrderedDict[str, Policy] = OrderedDict()
        self._generation = -1
        self._active: dict[str, str] = {}
        self._deciding: dict[str, Policy] = {}
        self.mode: Mode = NORMAL

    def refresh(self, store: Store) -> ControlRow:
        """Read the control row inside a transaction, and what changed since the last one."""
        row = store.control()
        if row.generation != self._generation:
            self._active = store.active_versions()
            self._deciding = {product: self.version(store, version) for product, version in self._active.items()}
            self._generation = row.generation
        return row

    def forget(self) -> None:
        """Read everything anew at the next refresh; for after a transaction that failed."""
        self._generation = -1

    def active(self, product: str) -> Policy:
        """Give the policy that decides for a product; raises PolicyNotFound."""
        policy = self._deciding.get(product)
        if policy is None:
            raise PolicyNotFound("no policy is active for this product", product=product)
        return policy

    def version(self, store: Store, version: str) -> Policy:
        """Give a published version, compiled; raises PolicyNotFound."""
        policy = self._compiled.get(version)
        if policy is None:
            record = store.policy(version)
            if record is None:
                raise PolicyNotFound("no such policy version", version=version)
            policy, _ = self._read_policy(record.document)
            self._compiled[version] = policy
            if len(self._compiled) > COMPILED_MAX:
                self._compiled.popitem(last=False)
        return policy
