"""The mode: the ordered set of playbook activations that decisions obey, and how their effects compose.

Promises a deterministic order (precedence, then the activation's number), an id that stands for one meaning for ever,
and that only activations whose scope covers the account take part. In normal mode nothing stands between a policy and
its outcome.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from service.domain.decision import Kind, Moment, Standing, Verdict
from service.domain.errors import HoldlineError
from service.domain.facts import Profile
from service.domain.money import BASIS_POINTS
from service.domain.playbook import Playbook, Request, Situation
from service.domain.policy import Policy
from service.domain.rules import FIRST

Judge = Callable[[Kind, Standing, Policy, Moment], Verdict]


class FactRange(NamedTuple):
    """Accounts whose fact lies in a range, ends included, in the fact's unit; a missing fact lies in none."""

    fact: int
    lowest: int
    highest: int


class Scope(NamedTuple):
    """Which accounts an activation covers: a product (empty: all), ranges of facts, a stable share in basis points."""

    product: str
    ranges: tuple[FactRange, ...]
    share_bp: int


EVERYBODY: Final = Scope("", (), BASIS_POINTS)
_SHARE_KEY: Final = b"holdline/scope"


def covers(scope: Scope, product: str, account_id: str, profile: Profile) -> bool:
    """Claim that a scope covers an account. A greater share covers whatever a smaller one does."""
    if scope.product and scope.product != product:
        return False
    for fact, lowest, highest in scope.ranges:
        value = profile.values[fact]
        if value is None or not lowest <= value <= highest:
            return False
    return scope.share_bp >= BASIS_POINTS or _place(account_id) < scope.share_bp


def _place(account_id: str) -> int:
    """Give an account's stable place in 0 to 9,999."""
    return int.from_bytes(blake2b(account_id.encode(), digest_size=8, key=_SHARE_KEY).digest(), "big") % BASIS_POINTS


def overlap(one: Scope, other: Scope) -> bool:
    """Claim that two scopes may cover the same account; shares are nested, so only products and ranges part them."""
    if one.product and other.product and one.product != other.product:
        return False
    ranges = {fact_range.fact: fact_range for fact_range in one.ranges}
    return not any(
        theirs.fact in ranges
        and (theirs.highest < ranges[theirs.fact].lowest or ranges[theirs.fact].highest < theirs.lowest)
        for theirs in other.ranges
    )


class Measure(NamedTuple):
    """One activation at work."""

    name: str
    """As decisions record it: "A17@cap_growth/v1"."""
    number: int
    scope: Scope
    parameters: Any
    """An instance of the playbook's own `Parameters`."""
    playbook: Playbook


class Mode(NamedTuple):
    """What is in force, in the order of its effect."""

    mode_id: str
    measures: tuple[Measure, ...]
    policies: Mapping[str, Policy]
    """The versions that parameters name."""


NORMAL: Final = Mode("normal", (), {})


def composed(measures: Iterable[Measure], policies: Mapping[str, Policy]) -> Mode:
    """Put measures in their order and name the mode: the name stands for these activations and no others."""
    ordered = tuple(sorted(measures, key=lambda measure: (measure.playbook.precedence, measure.number)))
    if not ordered:
        return NORMAL
    names = ",".join(f"{measure.name}={measure.playbook.content_hash}" for measure in ordered)
    return Mode(f"m-{blake2b(names.encode(), digest_size=8).hexdigest()}", ordered, policies)


class Judgement(NamedTuple):
    """A verdict, the policy that gave it, and the names of the activations that took part."""

    verdict: Verdict
    policy: Policy
    activations: tuple[str, ...]


def judged(
    mode: Mode,
    judge: Judge,
    kind: Kind,
    account_id: str,
    product: str,
    standing: Standing,
    policy: Policy,
    moment: Moment,
) -> Judgement:
    """Judge in a mode: choose the policy, adjust the facts, judge, constrain, each in the mode's order."""
    covering = [measure for measure in mode.measures if covers(measure.scope, product, account_id, standing.profile)]
    case = Situation(kind, account_id, product, standing, policy, moment, mode.policies)
    for measure in covering:
        if measure.playbook.choose_policy is not None:
            case = case._replace(policy=measure.playbook.choose_policy(measure.parameters, case))
    adjusted = case
    for measure in covering:
        if measure.playbook.adjust_facts is not None:
            adjusted = adjusted._replace(standing=measure.playbook.adjust_facts(measure.parameters, adjusted))
    verdict = judge(kind, adjusted.standing, case.policy, moment)
    promised_minor, judged_minor = verdict.promised_minor, verdict.new_limit_minor
    bounds = verdict.grounds[1:] if judged_minor > standing.limit_minor else ()
    for measure in covering:
        if measure.playbook.constrain is not None:
            verdict = measure.playbook.constrain(measure.parameters, case, verdict)
    if bounds and verdict.new_limit_minor != judged_minor and standing.rules != FIRST:
        # What held the raise holds it no more where a playbook gives less.
        verdict = verdict._replace(grounds=tuple(ground for ground in verdict.grounds if ground not in bounds))
    # A playbook withholds; what was promised stays promised.
    return Judgement(
        verdict._replace(promised_minor=promised_minor), case.policy, tuple(measure.name for measure in covering)
    )


def admit(mode: Mode, request: Request, account_id: str, product: str, profile: Profile) -> None:
    """Refuse a request that the mode turns away; raises the playbook's error, with the activation's name."""
    for measure in mode.measures:
        if measure.playbook.admit is None or not covers(measure.scope, product, account_id, profile):
            continue
        refusal = measure.playbook.admit(measure.parameters, request)
        if refusal is not None:
            raise _named(refusal, measure)


def turned_away(mode: Mode, request: Request) -> HoldlineError | None:
    """Give the refusal that any account would meet, for admission before anything is looked up."""
    for measure in mode.measures:
        if measure.playbook.admit is not None and measure.scope == EVERYBODY:
            refusal = measure.playbook.admit(measure.parameters, request)
            if refusal is not None:
                return _named(refusal, measure)
    return None


def _named(refusal: HoldlineError, measure: Measure) -> HoldlineError:
    refusal.metadata["activation_id"] = f"A{measure.number}"
    return refusal
