"""Playbooks, activations, modes and scopes as messages, and back with every violation."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from holdline.v1 import playbook_service_pb2 as pb

from service.domain.activation import Activation, ActivationChange, ActivationState, state_of
from service.domain.clock import ConfirmedTime
from service.domain.errors import Violation
from service.domain.facts import FACTS, INDEX
from service.domain.mode import FactRange, Scope
from service.domain.money import BASIS_POINTS
from service.domain.playbook import Parameter, Playbook, Value
from service.engine.playbook_desk import ModeView
from service.rpc import texts, validation
from service.rpc.pages import timestamp

SEGMENT_MAX: Final = 8
is_playbook_name: Final = re.compile(r"[a-z][a-z0-9_]{0,47}").fullmatch
_is_activation_id: Final = re.compile(r"A([1-9]\d{0,15})").fullmatch


def name_violations(name: str, version: int) -> list[Violation]:
    """Give what is wrong with a playbook's name and version."""
    found = []
    if not is_playbook_name(name):
        found.append(Violation("name", "send a playbook's name: 1 to 48 characters of [a-z0-9_]"))
    if not 0 <= version <= 10_000:
        found.append(Violation("version", f"{version} is out of range; send 0 for the newest, or a version"))
    return found


def activation_number(activation_id: str) -> tuple[int, list[Violation]]:
    """Give an activation's number from its id, or what is wrong with it."""
    # People paste what a decision records, too: "A17@cap_growth/v1".
    matched = _is_activation_id(activation_id.partition("@")[0])
    if matched:
        return int(matched[1]), []
    return 0, [Violation("activation_id", "send an activation's id, for example A17")]


def parameters_of(given: Mapping[str, pb.ParameterValue]) -> tuple[dict[str, Value], list[Violation]]:
    """Give parameters by name, and those without a value."""
    values: dict[str, Value] = {}
    violations = []
    for name, value in sorted(given.items()):
        which = value.WhichOneof("value")
        if which is None:
            violations.append(Violation(f"parameters.{name}", "has no value; send whole or text"))
        elif wrong := [*texts.written_violations("parameters", name)]:
            violations += wrong
        else:
            values[name] = value.whole if which == "whole" else value.text
            violations += texts.written_violations(f"parameters.{name}", value.text)
    return values, violations


def scope_of(message: pb.Scope) -> tuple[Scope, list[Violation]]:
    """Give a scope, and what is wrong with its form; that it covers somebody is the desk's to judge."""
    violations = [
        Violation(f"scope.{one.field}", one.description)
        for one in validation.product_violations(message.product, needed=False)
    ]
    ranges = []
    if len(message.segment) > SEGMENT_MAX:
        violations.append(Violation("scope.segment", f"{len(message.segment)} ranges; send at most {SEGMENT_MAX}"))
    for place, one in enumerate(message.segment[:SEGMENT_MAX]):
        fact = INDEX.get(one.fact, len(FACTS))
        if fact >= len(FACTS):
            known = ", ".join(definition.name for definition in FACTS)
            violations.append(Violation(f"scope.segment[{place}].fact", f"no such fact; choose from {known}"))
        else:
            ranges.append(FactRange(fact, one.lowest, one.highest))
    return Scope(message.product, tuple(ranges), message.share_bp or BASIS_POINTS), violations


def playbook(one: Playbook) -> pb.Playbook:
    """Give a playbook as a message."""
    return pb.Playbook(
        name=one.name,
        version=one.version,
        summary=one.summary,
        content_hash=one.content_hash,
        approvals=one.approvals,
        ttl_seconds_max=one.ttl_seconds_max,
        precedence=one.precedence,
        safer=one.safer.value,
        parameters=[_parameter(parameter) for parameter in one.parameters],
        conflicts=dict(one.conflicts),
        retired=one.retired,
        replaces=one.replaces,
        released=one.is_released,
        signals=one.signals,
    )


def _parameter(one: Parameter) -> pb.PlaybookParameter:
    return pb.PlaybookParameter(
        name=one.name,
        unit=one.unit,
        about=one.about,
        lowest=one.lowest,
        highest=one.highest,
        default_value=None if one.default is None else _value(one.default),
    )


def _value(value: Value) -> pb.ParameterValue:
    return pb.ParameterValue(whole=value) if isinstance(value, int) else pb.ParameterValue(text=value)


def activation(one: Activation, now_us: int) -> pb.Activation:
    """Give an activation as a message, in its state at a time."""
    return pb.Activation(
        activation_id=one.activation_id,
        playbook=one.playbook,
        version=one.version,
        parameters={name: _value(value) for name, value in one.parameters},
        scope=scope(one.scope),
        state=pb.ActivationState.ValueType(int(state_of(one, now_us))),
        reason=one.reason,
        incident=one.incident,
        requested_by=one.requested_by,
        requested_at=timestamp(one.requested_us),
        approved_by=one.approved_by,
        approvals_needed=one.approvals_needed,
        break_glass=one.is_break_glass,
        forced=one.is_forced,
        active_from=timestamp(one.from_us),
        active_until=timestamp(one.until_us),
        ended_at=timestamp(one.ended_us),
        ended_by=one.ended_by,
    )


def scope(one: Scope) -> pb.Scope:
    """Give a scope as a message."""
    segment = [
        pb.FactRange(fact=FACTS[fact].name, lowest=lowest, highest=highest) for fact, lowest, highest in one.segment
    ]
    return pb.Scope(product=one.product, segment=segment, share_bp=one.share_bp)


def mode(view: ModeView) -> pb.Mode:
    """Give what is in force as a message, activations in the order of their effect."""
    by_number = {one.number: one for one in view.activations}
    in_force = [by_number[measure.number] for measure in view.mode.measures]
    pending = [one for one in view.activations if state_of(one, view.now_us) is ActivationState.PENDING_APPROVAL]
    return pb.Mode(
        mode_id=view.mode.mode_id,
        activations=_activations(in_force, view.now_us),
        pending=_activations(pending, view.now_us),
        as_of=timestamp(view.now_us),
    )


def clock(time: ConfirmedTime) -> pb.StoreClock:
    """Give the store's time, and what to do where the machine's clock is off, as a message."""
    what_to_do = ""
    if not time.is_right:
        what_to_do = (
            "set the clock of the engine's machine right; where it is right, confirm it: holdline clock confirm. Until "
            "then the store's time goes on by the time that passes, and the step purges, lapses and stops nothing"
        )
    elif time.owed_us:
        what_to_do = "nothing: the store's time goes half as fast until the confirmed clock has caught up"
    return pb.StoreClock(
        time=timestamp(time.time_us), ahead_micros=time.ahead_us, since=timestamp(time.since_us),
        owed_micros=time.owed_us, what_to_do=what_to_do,
    )  # fmt: skip


def _activations(found: Sequence[Activation], now_us: int) -> list[pb.Activation]:
    return [activation(one, now_us) for one in found]


def changes(found: Iterable[ActivationChange]) -> list[pb.ActivationChange]:
    """Give rows of the audit log as messages."""
    return [
        pb.ActivationChange(
            sequence=one.sequence,
            action=one.action,
            activation_id=f"A{one.number}",
            caller=one.caller,
            reason=one.reason,
            changed_at=timestamp(one.changed_us),
        )
        for one in found
    ]
