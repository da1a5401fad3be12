"""The words that a playbook's module uses.

A module `playbooks/<name>/v<N>.py` reads like a migration: a docstring with the headings below, constants, parameters,
and one or more of four pure functions:

    admit(parameters, request) -> HoldlineError | None     refuse before anything is decided
    choose_policy(parameters, case) -> Policy              decide by another version
    adjust_facts(parameters, case) -> Standing             change what is known, before it is judged
    constrain(parameters, case, verdict) -> Verdict        change what came out

Promises nothing by itself; `playbooks.registry` holds every module to this.
"""

from typing import Final, NamedTuple

from service.domain.policy import NO_FACT, Ground

HEADINGS: Final = (
    "Symptoms",
    "Use when",
    "Don't use when",
    "Customers see",
    "Check first",
    "It worked when",
    "To leave",
)
"""What each docstring says after its summary line, in this order."""


class Whole(NamedTuple):
    """A whole-number parameter: unit, range with both ends, and a sentence."""

    lowest: int
    highest: int
    unit: str
    about: str


class PolicyVersion(NamedTuple):
    """A parameter that names a policy version which has decided before."""

    about: str


def ground(title: str, reason: str, requirement: str) -> Ground:
    """Make the ground of an outcome that a playbook brings about."""
    return Ground(f"playbooks.{title}", reason, NO_FACT, requirement)
