"""A playbook: what a versioned fallback mode may do to a decision, as the engine knows it.

Promises that its functions are pure, and that what the on-call engineer has to know (parameters with ranges, approvals,
greatest time to live, conflicts) stands beside them. Modules in `playbooks` are read into these records.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from service.domain.decision import Criticality, Kind, Moment, Standing, Verdict
from service.domain.errors import HoldlineError, Violation
from service.domain.policy import Policy, Text


class Safer(Enum):
    """In which sense outcomes are never less safe than without the playbook; a property test holds it to this."""

    NO_MOVE = "no limit moves"
    NO_CUT = "no limit falls"
    NO_RAISE = "no limit rises"
    LESS_GROWTH = "no limit ends higher than it would without"
    LESS_MOVEMENT = "no limit moves further, nor the other way, than it would without"
    NAMED_POLICY = "every outcome is the named policy's"
    LESS_WORK = "less is taken on, and never the more critical before the less critical"
    NO_WRITE = "nothing is written"


class Request(NamedTuple):
    """What asks to be written, as far as admission looks at it."""

    criticality: Criticality


class Situation(NamedTuple):
    """One decision as a playbook sees it."""

    kind: Kind
    account_id: str
    product: str
    standing: Standing
    """Where the account stands, with every fact."""
    policy: Policy
    """The policy that decides; a playbook of lesser precedence may have chosen it."""
    moment: Moment
    policies: Mapping[str, Policy]
    """The versions that parameters name."""


Case = Situation
"""Its name in playbooks that are released, whose modules never change."""


class Parameter(NamedTuple):
    """One parameter: a whole number in a range, or a policy version where `unit` says so; no default: required."""

    name: str
    unit: str
    about: str
    lowest: int
    highest: int
    default: int | str | None

    @property
    def is_policy(self) -> bool:
        """Whether the value names a policy version."""
        return self.unit == POLICY_VERSION


POLICY_VERSION = "policy version"
Value = int | str


class Playbook(NamedTuple):
    """One version of a playbook, read from its module."""

    name: str
    version: int
    content_hash: str
    """SHA-256 of the module's text."""
    is_released: bool
    retired: str
    """Why no new activation may use it; empty while one may."""
    summary: str
    headings: Mapping[str, str]
    """The docstring's parts by heading."""
    replaces: str
    approvals: int
    """People who must approve, never the activator: 0, 1 or 2."""
    ttl_seconds_max: int
    precedence: int
    """Ascending order of effect; the greatest has the last word."""
    conflicts: Mapping[str, str]
    """Playbooks that can't be in force beside this one, and why."""
    signals: tuple[str, ...]
    """Guard signals that speak for this playbook."""
    safer: Safer
    parameters: tuple[Parameter, ...]
    make_parameters: Callable[..., Any]
    texts: Mapping[str, Text]
    admit: Callable[[Any, Request], HoldlineError | None] | None
    choose_policy: Callable[[Any, Situation], Policy] | None
    adjust_facts: Callable[[Any, Situation], Standing] | None
    constrain: Callable[[Any, Situation, Verdict], Verdict] | None

    @property
    def title(self) -> str:
        """The version's name: "cap_growth/v1"."""
        return f"{self.name}/v{self.version}"


def completed(playbook: Playbook, given: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[Violation, ...]]:
    """Give all parameters, defaults filled in, and what is wrong with the given ones (fields "parameters.NAME")."""
    known = {parameter.name: parameter for parameter in playbook.parameters}
    found: dict[str, Value] = {}
    violations = [
        Violation(f"parameters.{name}", f"{playbook.title} has no such parameter; it has {', '.join(known) or 'none'}")
        for name in given
        if name not in known
    ]
    for name, parameter in known.items():
        value = given.get(name, parameter.default)
        field = f"parameters.{name}"
        if value is None:
            violations.append(Violation(field, f"needed: {parameter.about}"))
        elif parameter.is_policy:
            if isinstance(value, str) and value:
                found[name] = value
            else:
                violations.append(Violation(field, "send a policy version, as text"))
        elif not isinstance(value, int):
            violations.append(Violation(field, f"send a whole number of {parameter.unit}"))
        elif not parameter.lowest <= value <= parameter.highest:
            violations.append(
                Violation(
                    field,
                    f"{value} is out of range; {parameter.unit} from {parameter.lowest} to {parameter.highest}",
                )
            )
        else:
            found[name] = value
    return found, tuple(violations)
