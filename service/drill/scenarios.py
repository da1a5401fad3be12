"""The incidents that are rehearsed: what goes wrong, and what on-call is to do about it.

Each breaks one thing in the world of a drill and says which playbooks answer it; the bound is the most decisions that
may pass from the incident until its harm stops.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

import yaml

from service.domain.facts import FACTS
from service.domain.playbook import Value
from service.domain.policy import Policy, Values
from service.domain.watch import BEHAVIOUR, DAY_US
from service.drill.traffic import Facts, Feed

BROKEN_VERSION: Final = "drill-broken"
"""The policy version that an incident publishes."""
GOOD_VERSION: Final = "$good"
"""In a parameter: the version that decided before the incident."""
STALE_DAYS: Final = 36
"""A day longer than any behaviour fact may be old before the reference policy asks a person."""


Bug = Callable[[Policy], Policy]


class World(Protocol):
    """What an incident may break."""

    def promote(self, document: str, bug: Bug | None = None) -> None:
        """Publish and promote a policy document in silence; a bug is what the compiler makes of it."""

    def document(self) -> str:
        """Give the document of the policy that decides."""

    def set_feed(self, feed: Feed) -> None:
        """Change what callers send of what is true."""

    def pass_time(self, by_us: int) -> None:
        """Let time pass without traffic."""

    def misset_clock(self, by_us: int) -> None:
        """Set the machine's clock wrong, and let somebody say that it is right."""


class Step(NamedTuple):
    """A playbook that on-call puts in force, with its parameters."""

    playbook: str
    parameters: Mapping[str, Value]


class Scenario(NamedTuple):
    """One incident."""

    name: str
    wrong: str
    """What goes wrong, one sentence."""
    inject: Callable[[World], None]
    script: tuple[Step, ...]
    """What on-call does, one after the other, where the guards have not done it."""
    decisions_max: int
    """Most decisions from the incident until its harm stops."""


def _flip_scorecard(world: World) -> None:
    def flip(policy: Policy) -> Policy:
        def points(values: Values) -> tuple[int, ...]:
            given = zip(policy.scorecard, policy.points(values), strict=True)
            return tuple(line.points_max - got for line, got in given)

        return replace(policy, points=points)

    # A document with flipped bins is refused when it is published, so the sign flips behind that check.
    world.promote(_changed(world.document(), lambda _: None), flip)


def _tighten(world: World) -> None:
    def tighten(policy: dict[str, Any]) -> None:
        for rule in policy["raise"]["eligibility"]:
            if rule["fact"] == "on_time_streak_months":
                rule["at_least"] = 12
        for trigger in policy["reduce"]["triggers"]:
            if trigger["fact"] == "late_months_12m":
                trigger["at_least"] = 1

    world.promote(_changed(world.document(), tighten))


def _changed(document: str, change: Callable[[dict[str, Any]], None]) -> str:
    policy = yaml.safe_load(document)
    policy["policy"] = BROKEN_VERSION
    change(policy)
    text: str = yaml.safe_dump(policy, allow_unicode=True, sort_keys=False)
    return text


def _stop_behaviour(world: World) -> None:
    quiet = {FACTS[fact].name for fact in BEHAVIOUR}

    def without_behaviour(facts: Facts) -> Facts:
        return {name: value for name, value in facts.items() if name not in quiet}

    world.set_feed(without_behaviour)
    world.pass_time(STALE_DAYS * DAY_US)


def _zero_bureau(world: World) -> None:
    # A score of 0 is refused at the door, so what arrives is what a caller makes of it: the least valid one.
    world.set_feed(lambda facts: {**facts, "bureau_score": 300, "enquiries_30d": 0})


def _jump_clock(world: World) -> None:
    world.misset_clock(DAY_US)


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "scorecard-sign-flipped",
            "A compiler bug flips the sign of a new policy's scorecard: good facts cost points, bad ones earn them.",
            _flip_scorecard,
            (Step("rollback_policy", {"to_version": GOOD_VERSION}),),
            800,
        ),
        Scenario(
            "behaviour-stale",
            "The behaviour feed stopped weeks ago, and today its facts pass the age that the policy allows.",
            _stop_behaviour,
            (Step("hold_last_known_good", {}),),
            800,
        ),
        Scenario(
            "policy-tightened",
            "A policy is promoted in silence: raises ask for a year on time, one late month is enough for a cut.",
            _tighten,
            (Step("rollback_policy", {"to_version": GOOD_VERSION}),),
            800,
        ),
        Scenario(
            "bureau-zeros",
            "The bureau feed returns zeros, and every customer looks like the worst.",
            _zero_bureau,
            (Step("hold_last_known_good", {}),),
            800,
        ),
        Scenario(
            "clock-jumped",
            "The clock jumps a day ahead and is confirmed by mistake: everybody raised today can be raised again.",
            _jump_clock,
            (Step("freeze_raises", {}),),
            1_200,
        ),
    )
}
"""Every scenario by name."""
