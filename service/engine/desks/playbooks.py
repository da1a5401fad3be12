"""The desk of on-call: activations, approvals, and the mode in force.

Promises that a change commits, with its audit row and its alert, before it is answered; that it takes effect with the
next transaction of any engine; and that what is refused changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from service.domain.activation import (
    Activation,
    ActivationChange,
    ActivationState,
    approved,
    ended,
    extended,
    refuse_approved,
    refuse_beside,
    refuse_over,
    requested,
    scope_violations,
    state_of,
    ttl_violations,
)
from service.domain.errors import (
    ActivationNotFound,
    BuildMix,
    InvalidRequest,
    PlaybookNotFound,
    Violation,
)
from service.domain.mode import Mode, Scope
from service.domain.money import BASIS_POINTS
from service.domain.playbook import Playbook, Value, completed
from service.domain.watch import EngineSeen
from service.engine.control import Control
from service.engine.once import once
from service.engine.ports.store import NUMBER_MAX, Store
from service.engine.safety import alerts

ENGINE_SEEN_US: Final = 60_000_000
"""An engine that was not seen for so long doesn't count as serving."""
AT_ONCE: Final = 500
"""Activations read at a time where only those in some states are wanted."""


class ActivationOrder(NamedTuple):
    """A change that a caller asks for; which fields count depends on the action."""

    action: str
    """"activate", "approve", "extend", "end" or "lapse"."""
    key: str
    fingerprint: bytes
    caller: str
    reason: str
    number: int = 0
    playbook: str = ""
    version: int = 0
    parameters: Mapping[str, Value] = {}
    scope: Scope = Scope("", (), BASIS_POINTS)
    ttl_seconds: int = 0
    incident: str = ""
    is_break_glass: bool = False
    is_forced: bool = False
    is_automatic: bool = False
    """By a guard: refused while a person's activation is in force, and told as critical."""


class ActivationChanged(NamedTuple):
    """The activation after a change, the store's time, the mode in force then, and whether it was made before."""

    activation: Activation
    now_us: int
    mode: Mode
    replayed: bool


class ModeView(NamedTuple):
    """What is in force by the store's clock: the mode, the activations that are open, the engines, the last change."""

    mode: Mode
    now_us: int
    activations: tuple[Activation, ...]
    engines: tuple[EngineSeen, ...]
    last_change: int


class PlaybookDesk:
    """Activations over one store."""

    def __init__(self, store: Store, control: Control) -> None:
        self._store = store
        self._control = control

    def playbooks(self) -> list[Playbook]:
        """Give every version of this build."""
        return self._control.playbooks.all()

    def playbook(self, name: str, version: int) -> Playbook:
        """Give a version, 0 for the newest that may be activated; raises PlaybookNotFound."""
        return self._control.playbooks.find(name, version)

    def playbook_of(self, activation: Activation) -> Playbook | None:
        """Give an activation's playbook, where this build has it."""
        try:
            return self.playbook(activation.playbook, activation.version)
        except PlaybookNotFound:
            return None

    def mode(self) -> ModeView:
        """Give what is in force."""
        row = self._control.refresh(self._store)
        activations = tuple(self._store.playbooks.activations_open(row.now_us))
        engines = tuple(self._store.playbooks.engines(row.now_us - ENGINE_SEEN_US))
        return ModeView(self._control.mode, row.now_us, activations, engines, self._store.playbooks.last_change())

    def activations(
        self, before: int, count: int, states: Collection[ActivationState] = ()
    ) -> tuple[list[Activation], int]:
        """Give activations in some states (none: all), newest first, from before a number (0: the newest).

        With them, now by the store's clock.
        """
        now_us = self._store.control().now_us
        found: list[Activation] = []
        before = before or NUMBER_MAX
        at_once = max(count, AT_ONCE) if states else count
        while len(found) < count and (page := self._store.playbooks.activations_newest(before, at_once)):
            found += [one for one in page if not states or state_of(one, now_us) in states]
            before = page[-1].number
        return found[:count], now_us

    def changes(self, after: int, count: int) -> list[ActivationChange]:
        """Give the audit log after a sequence, oldest first."""
        return self._store.playbooks.changes(after, count)

    def activation(self, number: int) -> Activation:
        """Give an activation; raises ActivationNotFound."""
        activation = self._store.playbooks.activation(number)
        if activation is None:
            raise ActivationNotFound(activation_id=f"A{number}")
        return activation

    def change(self, order: ActivationOrder) -> ActivationChanged:
        """Activate, approve, extend or end, once for a key; durable when it returns.

        Raises InvalidRequest, IdempotencyKeyReused, PlaybookNotFound, PlaybookRetired, PlaybookConflict,
        ActivationExists, ActivationNotFound, ActivationOver, ApprovalRefused or BuildMix.
        """
        store = self._store.playbooks
        with once(self._store, self._control, order, store.change) as (row, recorded):
            now_us = row.now_us
            if recorded is not None:
                activation = self.activation(recorded.number)
            else:
                activation = self._after(order, now_us)
                store.write(
                    activation,
                    ActivationChange(
                        0, order.key, order.fingerprint, order.action, activation.number, order.caller, order.reason,
                        now_us,
                    ),
                )  # fmt: skip
                self._tell(order, activation, now_us)
            # The mode as it is from the next transaction on, whoever decides in it.
            self._control.forget()
            self._control.refresh(self._store)
            mode = self._control.mode
        return ActivationChanged(activation, now_us, mode, replayed=recorded is not None)

    def _after(self, order: ActivationOrder, now_us: int) -> Activation:
        if order.action == "activate":
            return self._requested(order, now_us)
        activation = self.activation(order.number)
        if order.action != "lapse":
            refuse_over(activation, now_us)
        if order.action == "approve":
            refuse_approved(activation, now_us)
            self._refuse_beside(self._known(activation), activation.scope, now_us, activation.number, takes_new=False)
            return approved(activation, order.caller, order.reason, now_us)
        if order.action == "extend":
            return extended(activation, self._known(activation), order.ttl_seconds, order.caller, now_us)
        if order.action == "lapse":
            return activation
        return ended(activation, order.caller, now_us)

    def _known(self, activation: Activation) -> Playbook:
        return self.playbook(activation.playbook, activation.version)

    def _requested(self, order: ActivationOrder, now_us: int) -> Activation:
        playbook = self.playbook(order.playbook, order.version)
        parameters, violations = completed(playbook, order.parameters)
        violations += (
            *scope_violations(order.scope, self._control.products),
            *ttl_violations(playbook, order.ttl_seconds),
        )
        violations += tuple(self._policy_violations(playbook, parameters, order.scope))
        if violations:
            raise InvalidRequest(violations)
        self._refuse_mix(now_us, is_forced=order.is_forced)
        self._refuse_beside(playbook, order.scope, now_us, 0, takes_new=True)
        return requested(
            self._store.playbooks.next_number(), playbook, parameters, order.scope, order.ttl_seconds, order.caller,
            order.reason, order.incident, now_us, is_break_glass=order.is_break_glass, is_forced=order.is_forced,
        )  # fmt: skip

    def _refuse_beside(self, playbook: Playbook, scope: Scope, now_us: int, number: int, *, takes_new: bool) -> None:
        others = [
            (other, self._known(other))
            for other in self._store.playbooks.activations_open(now_us)
            if other.number != number
        ]
        refuse_beside(playbook, scope, others, takes_new=takes_new)

    def _policy_violations(
        self, playbook: Playbook, parameters: Mapping[str, Value], scope: Scope
    ) -> Iterable[Violation]:
        for one in playbook.parameters:
            if not one.is_policy or one.name not in parameters:
                continue
            version = str(parameters[one.name])
            record = self._store.policy(version)
            field = f"parameters.{one.name}"
            if record is None or not record.activated_us:
                yield Violation(field, f"{version} has never decided; name a version that has")
            elif scope.product and record.product != scope.product:
                yield Violation(field, f"{version} decides for {record.product}, the scope is {scope.product}")

    def _refuse_mix(self, now_us: int, *, is_forced: bool) -> None:
        """Refuse while engines of different builds serve: one name could mean two things (Knight Capital)."""
        engines = self._store.playbooks.engines(now_us - ENGINE_SEEN_US)
        if not is_forced and len({engine[1:4] for engine in engines}) > 1:
            raise BuildMix(engines="; ".join(f"{one.engine_id}: {one.build}/{one.playbooks}" for one in engines))

    def _tell(self, order: ActivationOrder, activation: Activation, now_us: int) -> None:
        """Alert: glass broken, a mix forced and a guard's act are critical, everything else is told as well."""
        loud = order.action == "activate" and (activation.is_break_glass or activation.is_forced or order.is_automatic)
        alerts.send(
            self._store.outbox,
            alerts.CRITICAL if loud else alerts.WARNING,
            f"playbook_{order.action}",
            now_us,
            activation=activation.title,
            state=state_of(activation, now_us).name.lower(),
            by=order.caller,
            why=order.reason,
            until_us=activation.until_us,
            break_glass=int(activation.is_break_glass),
            forced=int(activation.is_forced),
        )
