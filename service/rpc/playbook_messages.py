"""Playbooks, activations, modes and scopes as messages, and back with every violation."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from holdline.v1 import playbook_service_pb2 as pb

from service.domain.activation import Activation, ActivationChange, ActivationState, state_of
from service.domain.clock import ConfirmedTime
from service.domain.errors import Violation
from service.domain.facts import FACTS, INDEX
from service.domain.mode import FactRange, Scope
from service.domain.money import BASIS_POINTS
from service.domain.playbook import Parameter, Playbook, Value
from service.engine.desks.playbooks import ModeView
from service.rpc import fields, texts
from service.rpc.actors import actor, approvals
from service.rpc.pages import timestamp, unknown_choices

RANGES_MAX: Final = 8
VERSION_MAX: Final = 10_000
is_playbook_name: Final = re.compile(r"[a-z][a-z0-9_]{0,47}").fullmatch
_is_activation_id: Final = re.compile(r"A([1-9]\d{0,15})").fullmatch


Versioned = pb.DescribePlaybookRequest | pb.PreviewPlaybookRequest | pb.ActivatePlaybookRequest


def version_of(request: Versioned) -> int | None:
    """Give the version that a request names, none for the newest that may be activated."""
    return request.version if request.HasField("version") else None


def name_violations(name: str, version: int | None) -> list[Violation]:
    """Give what is wrong with a playbook's name and version."""
    found = []
    if not is_playbook_name(name):
        found.append(Violation("name", "send a playbook's name: 1 to 48 characters of [a-z0-9_]"))
    if version is not None and not 1 <= version <= VERSION_MAX:
        found.append(Violation("version", f"{version} is out of range; send 1 to {VERSION_MAX}; nothing: the newest"))
    return found


def activation_number(activation_id: str) -> tuple[int, list[Violation]]:
    """Give an activation's number from its id, or what is wrong with it."""
    # People paste what a decision records, too: "A17@cap_growth/v1".
    matched = _is_activation_id(activation_id.partition("@")[0])
    if matched:
        return int(matched[1]), []
    return 0, [Violation("activation_id", "send an activation's id, for example A17")]


def states_of(states: Sequence[int]) -> tuple[frozenset[ActivationState], list[Violation]]:
    """Give the states that a list is asked for, and those that are none."""
    known = {int(state): state for state in ActivationState}
    return frozenset(known[state] for state in states if state in known), unknown_choices("states", states, known)


def parameters_of(given: Sequence[pb.Parameter]) -> tuple[dict[str, Value], list[Violation]]:
    """Give parameters by name, and what is wrong with their form."""
    values: dict[str, Value] = {}
    violations = []
    for place, one in enumerate(given):
        which = one.value.WhichOneof("value")
        if one.name in values:
            violations.append(Violation(f"parameters[{place}].name", f"{one.name} is given twice"))
        elif which is None:
            violations.append(Violation(f"parameters[{place}].value", f"{one.name} has no value; send whole or text"))
        elif wrong_name := [*texts.written_violations(f"parameters[{place}].name", one.name)]:
            violations += wrong_name
        elif which == "text" and not fields.is_version(one.value.text):
            wrong = f"{one.name}: send a policy version, 1 to 64 characters of [A-Za-z0-9._-]"
            violations.append(Violation(f"parameters[{place}].value.text", wrong))
        else:
            values[one.name] = one.value.whole if which == "whole" else one.value.text
    return values, violations


def placed(violations: Iterable[Violation], given: Sequence[pb.Parameter]) -> list[Violation]:
    """Give violations with the place of each parameter in place of its name, which goes into the description."""
    places = {one.name: f"parameters[{place}]" for place, one in enumerate(given)}
    found = []
    for violation in violations:
        field, separator, name = violation.field.partition(".")
        if field == "parameters" and separator:
            violation = Violation(places.get(name, field), f"{name}: {violation.description}")  # noqa: PLW2901 - the same one, placed.
        found.append(violation)
    return found


def scope_of(message: pb.Scope) -> tuple[Scope, list[Violation]]:
    """Give a scope, and what is wrong with its form; that it covers somebody is the desk's to judge."""
    violations = [
        Violation(f"scope.{violation.field}", violation.description)
        for violation in fields.product_violations(message.product, needed=False)
    ]
    ranges = []
    if len(message.ranges) > RANGES_MAX:
        violations.append(Violation("scope.ranges", f"{len(message.ranges)} ranges; send at most {RANGES_MAX}"))
    for place, one in enumerate(message.ranges[:RANGES_MAX]):
        fact = INDEX.get(one.fact, len(FACTS))
        if fact >= len(FACTS):
            known = ", ".join(definition.name for definition in FACTS)
            violations.append(Violation(f"scope.ranges[{place}].fact", f"no such fact; choose from {known}"))
            continue
        lowest = one.lowest if one.HasField("lowest") else FACTS[fact].lowest
        highest = one.highest if one.HasField("highest") else FACTS[fact].highest
        ranges.append(FactRange(fact, lowest, highest))
    share_bp = message.share_bp if message.HasField("share_bp") else BASIS_POINTS
    if not 1 <= share_bp <= BASIS_POINTS:
        wrong = f"{share_bp} covers nobody or too many; send 1 to {BASIS_POINTS}, or nothing for all"
        violations.append(Violation("scope.share_bp", wrong))
    return Scope(message.product, tuple(ranges), share_bp), violations


def playbook(one: Playbook) -> pb.Playbook:
    """Give a playbook as a message."""
    return pb.Playbook(
        name=one.name,
        version=one.version,
        state=_state(one),
        retired_reason=one.retired if one.is_released else "",
        summary=one.summary,
        content_hash=one.content_hash,
        approvals_needed=one.approvals,
        ttl_seconds_max=one.ttl_seconds_max,
        precedence=one.precedence,
        safer=one.safer.value,
        parameters=[_parameter(parameter) for parameter in one.parameters],
        conflicts=[pb.PlaybookConflict(playbook=other, reason=why) for other, why in sorted(one.conflicts.items())],
        replaces=_ref(one.replaces),
        signals=one.signals,
    )


def _state(one: Playbook) -> pb.PlaybookState.ValueType:
    if not one.is_released:
        return pb.PLAYBOOK_STATE_DRAFT
    return pb.PLAYBOOK_STATE_RETIRED if one.retired else pb.PLAYBOOK_STATE_RELEASED


def _ref(title: str) -> pb.PlaybookRef | None:
    """Give a version from its title: "cap_growth/v1"; none for none."""
    name, separator, version = title.partition("/v")
    return pb.PlaybookRef(playbook=name, version=int(version)) if separator else None


def _parameter(one: Parameter) -> pb.PlaybookParameter:
    return pb.PlaybookParameter(
        name=one.name,
        unit=one.unit,
        about=one.about,
        lowest=None if one.is_policy else one.lowest,
        highest=None if one.is_policy else one.highest,
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
        parameters=[pb.Parameter(name=name, value=_value(value)) for name, value in one.parameters],
        scope=scope(one.scope),
        state=pb.ActivationState.ValueType(int(state_of(one, now_us))),
        reason=one.reason,
        incident=one.incident,
        requested_by=actor(one.requested_by),
        requested_at=timestamp(one.requested_us),
        approvals=approvals(one.approvals),
        approvals_needed=one.approvals_needed,
        break_glass=one.is_break_glass,
        forced=one.is_forced,
        active_from=timestamp(one.from_us),
        active_until=timestamp(one.until_us),
        ended_at=timestamp(one.ended_us),
        ended_by=actor(one.ended_by),
    )


def scope(one: Scope) -> pb.Scope:
    """Give a scope as a message."""
    ranges = [
        pb.FactRange(fact=FACTS[fact].name, lowest=lowest, highest=highest) for fact, lowest, highest in one.ranges
    ]
    return pb.Scope(product=one.product, ranges=ranges, share_bp=one.share_bp)


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


_ACTIONS: Final = {
    "activate": pb.ACTIVATION_ACTION_ACTIVATE,
    "approve": pb.ACTIVATION_ACTION_APPROVE,
    "extend": pb.ACTIVATION_ACTION_EXTEND,
    "end": pb.ACTIVATION_ACTION_END,
    "lapse": pb.ACTIVATION_ACTION_LAPSE,
}


def changes(found: Iterable[ActivationChange]) -> list[pb.ActivationChange]:
    """Give rows of the audit log as messages."""
    return [
        pb.ActivationChange(
            sequence=one.sequence,
            action=_ACTIONS[one.action],
            activation_id=f"A{one.number}",
            actor=actor(one.caller),
            reason=one.reason,
            changed_at=timestamp(one.changed_us),
        )
        for one in found
    ]
