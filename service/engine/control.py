"""The policy and mode in force: read in the deciding transaction, compiled once a version.

Promises that a batch decides by what its own transaction read, so nothing decides by an old policy or mode once a
change was acknowledged; that an activation lapses by the store's clock without anybody being told; and that an engine
which lacks a playbook in force decides nothing. Holds at most `COMPILED_MAX` compiled versions and recorded modes.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Protocol

from service.domain.activation import Activation, is_in_force, measure_of
from service.domain.errors import ActivationNotFound, BuildLacksPlaybook, PlaybookNotFound, PolicyNotFound
from service.domain.mode import NORMAL, Measure, Mode, composed
from service.domain.playbook import Playbook, Value
from service.domain.policy import Policy
from service.domain.policy_life import PolicyRecord
from service.engine.ports.playbooks import Playbooks, PlaybookStore
from service.engine.ports.policies import PolicyReader
from service.engine.ports.store import ControlRow, Store

COMPILED_MAX = 64
FAR_US = 1 << 62
UNKNOWN = Mode("unknown", (), {})
"""In place of a mode that this build can't obey; nothing is decided in it."""


class PolicySource(Protocol):
    """Where published policies and activations are read: a store, or one read from end to end."""

    def policy(self, version: str) -> PolicyRecord | None: ...  # noqa: D102 - the protocol's docstring covers it.
    @property
    def playbooks(self) -> PlaybookStore: ...  # noqa: D102 - the protocol's docstring covers it.


class Control:
    """What decides, as of the transaction that was last refreshed."""

    def __init__(self, read_policy: PolicyReader, playbooks: Playbooks) -> None:
        self._read_policy = read_policy
        self.playbooks = playbooks
        self._compiled: OrderedDict[str, Policy] = OrderedDict()
        self._recorded: OrderedDict[tuple[str, ...], Mode] = OrderedDict()
        self._generation = -1
        self._deciding: dict[str, Policy] = {}
        self._open: list[Activation] = []
        self._mode_until_us = 0
        self.mode: Mode = NORMAL
        self.refusal: BuildLacksPlaybook | None = None
        """Why nothing can be decided now, if so."""

    def refresh(self, store: Store) -> ControlRow:
        """Read the control row inside a transaction, and what changed since the last one."""
        row = store.control()
        if row.generation != self._generation:
            active = store.active_versions()
            self._deciding = {product: self.version(store, version) for product, version in active.items()}
            self._open = store.playbooks.activations_open(row.now_us)
            self._mode_until_us = 0
        if row.now_us >= self._mode_until_us:
            in_force = [one for one in self._open if is_in_force(one, row.now_us)]
            self.refusal = None
            try:
                self.mode = self.mode_with(store, in_force)
            except BuildLacksPlaybook as refusal:
                # Nothing is decided then, but on-call can still end the activation.
                self.mode, self.refusal = UNKNOWN, refusal
            self._mode_until_us = min((one.until_us for one in in_force), default=FAR_US)
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

    @property
    def products(self) -> list[str]:
        """The products that a policy decides for."""
        return list(self._deciding)

    def version(self, source: PolicySource, version: str) -> Policy:
        """Give a published version, compiled; raises PolicyNotFound."""
        policy = self._compiled.get(version)
        if policy is None:
            record = source.policy(version)
            if record is None:
                raise PolicyNotFound("no such policy version", version=version)
            policy, _ = self._read_policy(record.document)
            self._compiled[version] = policy
            if len(self._compiled) > COMPILED_MAX:
                self._compiled.popitem(last=False)
        return policy

    def mode_with(self, source: PolicySource, activations: Iterable[Activation]) -> Mode:
        """Give the mode of some activations; raises BuildLacksPlaybook where this build can't obey one."""
        measures: list[Measure] = []
        policies: dict[str, Policy] = {}
        for activation in activations:
            playbook = self._meant(activation)
            measures.append(measure_of(activation, playbook))
            policies.update(self.named_policies(source, playbook, dict(activation.parameters)))
        return composed(measures, policies)

    def named_policies(
        self, source: PolicySource, playbook: Playbook, values: Mapping[str, Value]
    ) -> dict[str, Policy]:
        """Give the versions that a playbook's parameters name, compiled; raises PolicyNotFound."""
        named = (str(values[one.name]) for one in playbook.parameters if one.is_policy)
        return {version: self.version(source, version) for version in named}

    def _meant(self, activation: Activation) -> Playbook:
        try:
            playbook = self.playbooks.find(activation.playbook, activation.version)
        except PlaybookNotFound as error:
            raise BuildLacksPlaybook(activation_id=activation.activation_id) from error
        if playbook.content_hash != activation.content_hash:
            raise BuildLacksPlaybook(activation_id=activation.activation_id)
        return playbook

    def recorded_mode(self, source: PolicySource, names: tuple[str, ...], candidate: Activation | None = None) -> Mode:
        """Give the mode that a recorded decision names, "A17@cap_growth/v1" each, and a candidate's on top.

        Raises ActivationNotFound or BuildLacksPlaybook.
        """
        if candidate is not None:
            return self.mode_with(source, [*(self._activation(source, name) for name in names), candidate])
        if not names:
            return NORMAL
        mode = self._recorded.get(names)
        if mode is None:
            mode = self.mode_with(source, [self._activation(source, name) for name in names])
            self._recorded[names] = mode
            if len(self._recorded) > COMPILED_MAX:
                self._recorded.popitem(last=False)
        return mode

    @staticmethod
    def _activation(source: PolicySource, name: str) -> Activation:
        activation = source.playbooks.activation(int(name[1:].partition("@")[0]))
        if activation is None or activation.title != name:
            raise ActivationNotFound(activation_id=name)
        return activation
